#include "tests/runtime/text/small_tokenizer.h"

#include <fstream>

#include "runtime/base/check.h"
#include "tests/support/temporary_folder.h"

namespace rubato::testing {
namespace {

constexpr const char* kPreTokenizer =
    R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)"
    R"("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*)"
    R"(|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},)"
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]})";

/// The JSON string of GPT-2's spelling of a code point below U+0800.
std::string spelled(int point) {
  if (point == '"' || point == '\\') return std::string("\"\\") + static_cast<char>(point) + '"';
  if (point < 0x80) return std::string("\"") + static_cast<char>(point) + '"';
  return std::string("\"") + static_cast<char>(0xc0 | point >> 6) +
         static_cast<char>(0x80 | (point & 0x3f)) + '"';
}

/// The 256 byte tokens: printable Latin-1 stands for itself, the rest follows from U+0100.
std::string byte_vocabulary() {
  std::string entries;
  int id = 0;
  for (int point = '!'; point < 256 + 68; ++point) {
    const bool used = point <= '~' || (point >= 0xa1 && point != 0xad);
    if (used) entries += spelled(point) + ':' + std::to_string(id++) + ',';
  }
  RUBATO_CHECK(id == 256, id);
  return entries;
}

std::string added_tokens() {
  std::string list;
  int id = 260;
  for (const char* token : {"<|startoftext|>",
                            "<|endoftext|>",
                            "<|mdm_mask|>",
                            "<|start_header_id|>",
                            "<|end_header_id|>",
                            "<|eot_id|>"}) {
    if (!list.empty()) list += ',';
    list += "{\"id\":" + std::to_string(id++) + ",\"content\":\"" + token +
            "\",\"special\":true,\"normalized\":false}";
  }
  return list;
}

}  // namespace

std::string small_tokenizer_json(std::string_view from, std::string_view to) {
  std::string json = R"({"version":"1.0","added_tokens":[)" + added_tokens() +
                     R"(],"normalizer":null,"pre_tokenizer":)" + kPreTokenizer +
                     R"(,"model":{"type":"BPE","ignore_merges":false,"vocab":{)" +
                     byte_vocabulary() + R"("he":256,"ll":257,"hell":258,"hello":259},)" +
                     R"("merges":["h e",["l","l"],"he ll","hell o"]}})";
  if (!from.empty()) {
    const std::size_t at = json.find(from);
    RUBATO_CHECK(at != std::string::npos, "nothing to replace: ", from);
    json.replace(at, from.size(), to);
  }
  return json;
}

Tokenizer small_tokenizer() {
  const TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  std::ofstream(file) << small_tokenizer_json();
  auto loaded = Tokenizer::load(file);
  RUBATO_CHECK(loaded.ok(), loaded.ok() ? "" : loaded.error().message);
  return std::move(loaded).value();
}

}  // namespace rubato::testing
