#pragma once

#include <boost/beast/http/fields.hpp>
#include <span>
#include <string_view>

namespace rubato {

/// A file of the page (http/page/), part of the program since it was built.
struct PageFile {
  std::string_view name;
  std::string_view etag;  ///< quoted; changes when the content does
  std::string_view body;
};

/// All of them. Made by cmake/embed.cmake.
std::span<const PageFile> page_files();

/// What stands at a path: at / the page itself, at /page/NAME what it is made of. Null: nothing.
const PageFile* find_page_file(std::string_view path);

/// Whether a client that has what `if_none_match` names need not be sent the file again.
bool is_current(const PageFile& file, std::string_view if_none_match);

/// The fields of an answer with the file: its type, how to keep it, and what it may do. The page
/// runs this program's scripts and styles only, and speaks to nobody but this server.
void set_page_fields(const PageFile& file, boost::beast::http::fields& answer);

}  // namespace rubato
