#include "http/page.h"

#include <algorithm>
#include <boost/beast/http/field.hpp>

#include "runtime/base/check.h"

namespace rubato {

namespace http = boost::beast::http;

namespace {

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

std::string_view content_type(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  RUBATO_CHECK(name.ends_with(".svg"), name);
  return "image/svg+xml";
}

}  // namespace

const PageFile* find_page_file(std::string_view path) {
  constexpr std::string_view kFolder = "/page/";
  std::string_view name = "index.html";
  if (path != "/") {
    if (!path.starts_with(kFolder)) return nullptr;
    if (name == path.substr(kFolder.size())) return nullptr;  // it is served at / only
    name = path.substr(kFolder.size());
  }
  const auto found = std::ranges::find(page_files(), name, &PageFile::name);
  return found == page_files().end() ? nullptr : &*found;
}

bool is_current(const PageFile& file, std::string_view if_none_match) {
  // A quoted hash occurs in a list of tags only as a tag, so the list need not be parsed.
  return if_none_match == "*" || if_none_match.find(file.etag) != std::string_view::npos;
}

void set_page_fields(const PageFile& file, http::fields& answer) {
  answer.set(http::field::content_type, content_type(file.name));
  answer.set(http::field::etag, file.etag);
  answer.set(http::field::cache_control, "no-cache");  // cached, but revalidated each time
  answer.set("Content-Security-Policy", kPolicy);
  answer.set("X-Content-Type-Options", "nosniff");
  answer.set("Referrer-Policy", "no-referrer");
  answer.set("Cross-Origin-Opener-Policy", "same-origin");
  answer.set("Cross-Origin-Resource-Policy", "same-origin");
}

}  // namespace rubato
