#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "runtime/base/concat.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/tokenizer_json.h"
#include "runtime/text/tokenizer_parts.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr std::int64_t kMostIds = 1 << 22;

/// GPT-2's reversible spelling of bytes as printable characters, character -> byte.
std::unordered_map<std::string, char> byte_spelling() {
  std::unordered_map<std::string, char> bytes;
  int shifted = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) ||
                           (byte >= 0xae && byte <= 0xff);
    const int point = printable ? byte : shifted++;
    std::string spelled;
    if (point < 0x80) {
      spelled = static_cast<char>(point);
    } else {
      spelled = {static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 0x3f))};
    }
    bytes.emplace(spelled, static_cast<char>(byte));
  }
  return bytes;
}

}  // namespace

/// Builds a Tokenizer from the parsed file.
class TokenizerLoader {
 public:
  Tokenizer load(const json::object& file) {
    tokenizer_.normal_forms_ = read_normalizer(file);
    tokenizer_.pre_tokenizer_ = read_pre_tokenizer(file);
    read_model(object_at(file, "model", "tokenizer"));
    read_added_tokens(file);
    read_frame(file);
    return std::move(tokenizer_);
  }

 private:
  void read_model(const json::object& model) {
    const std::string type = text_at(model, "type", "model");
    if (type != "BPE") fail_loading(concat("model.type is '", type, "'; supported: 'BPE'"));
    for (const char* key : {"dropout",
                            "unk_token",
                            "continuing_subword_prefix",
                            "end_of_word_suffix",
                            "byte_fallback"}) {
      require_absent(model, key, "model");
    }
    tokenizer_.ignore_merges_ = flag(model, "ignore_merges", false);
    for (const auto& [token, id] : object_at(model, "vocab", "model")) add(std::string(token), id);
    for (int byte = 0; byte < 256; ++byte) {
      const auto found = tokenizer_.id_of_bytes_.find(std::string(1, static_cast<char>(byte)));
      if (found == tokenizer_.id_of_bytes_.end())
        fail_loading(concat("model.vocab has no token for byte ", byte));
      tokenizer_.byte_ids_[byte] = found->second;
    }
    read_merges(member(model, "merges", "model"));
  }

  /// A model token: its spelling is GPT-2's of its bytes.
  void add(const std::string& token, const json::value& id) {
    std::string bytes;
    for (std::size_t at = 0; at < token.size();) {
      const std::size_t length = (token[at] & 0x80) == 0 ? 1 : 2;
      const auto byte = spelling_.find(token.substr(at, length));
      if (byte == spelling_.end())
        fail_loading(concat(
            "model.vocab: '", token.substr(0, 40), "' is not spelled in byte-level characters"));
      bytes += byte->second;
      at += length;
    }
    const TokenId number = checked_id(id, token);
    place(number, bytes);
    if (!tokenizer_.id_of_.emplace(token, number).second)
      fail_loading(concat("model.vocab: '", token.substr(0, 40), "' occurs twice"));
    tokenizer_.id_of_bytes_.emplace(std::move(bytes), number);
  }

  static TokenId checked_id(const json::value& id, const std::string& token) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= kMostIds) {
      fail_loading(concat(
          "the id of token '", token.substr(0, 40), "' is not a number from 0 to ", kMostIds - 1));
    }
    return static_cast<TokenId>(id.get_int64());
  }

  void place(TokenId id, const std::string& bytes) {
    if (id >= tokenizer_.vocabulary_size()) {
      tokenizer_.bytes_.resize(id + 1);
      tokenizer_.special_.resize(id + 1, false);
    }
    tokenizer_.bytes_[id] = bytes;
    tokenizer_.longest_ = std::max(tokenizer_.longest_, bytes.size());
  }

  void read_merges(const json::value& merges) {
    if (!merges.is_array()) fail_loading("model.merges is not a list");
    std::int32_t rank = 0;
    for (const json::value& merge : merges.get_array()) {
      const auto [left, right] = merge_parts(merge);
      const auto a = tokenizer_.id_of_.find(left), b = tokenizer_.id_of_.find(right),
                 ab = tokenizer_.id_of_.find(left + right);
      if (a == tokenizer_.id_of_.end() || b == tokenizer_.id_of_.end() ||
          ab == tokenizer_.id_of_.end()) {
        fail_loading(concat("model.merges[", rank, "] names a token that model.vocab lacks"));
      }
      tokenizer_.merges_.emplace(
          std::uint64_t(std::uint32_t(a->second)) << 32 | std::uint32_t(b->second),
          Tokenizer::Merge{rank, ab->second});
      ++rank;
    }
  }

  static std::pair<std::string, std::string> merge_parts(const json::value& merge) {
    if (merge.is_string()) {
      const std::string text(merge.get_string());
      const std::size_t space = text.find(' ');
      if (space != std::string::npos) return {text.substr(0, space), text.substr(space + 1)};
    }
    if (merge.is_array() && merge.get_array().size() == 2 && merge.get_array()[0].is_string() &&
        merge.get_array()[1].is_string()) {
      return {std::string(merge.get_array()[0].get_string()),
              std::string(merge.get_array()[1].get_string())};
    }
    fail_loading("model.merges holds something that is neither \"a b\" nor [\"a\", \"b\"]");
  }

  void read_added_tokens(const json::object& file) {
    const json::value* list = file.if_contains("added_tokens");
    if (list == nullptr || list->is_null()) return;
    for (const json::object* token : objects_at(file, "added_tokens", "tokenizer")) {
      const std::string content = text_at(*token, "content", "added_tokens");
      const TokenId id = checked_id(member(*token, "id", "added_tokens"), content);
      if (!flag(*token, "special", false))
        fail_loading(concat("added token '",
                            content.substr(0, 40),
                            "' is not special; only special ones are supported"));
      place(id, content);
      tokenizer_.special_[id] = true;
      tokenizer_.id_of_[content] = id;
    }
  }

  void read_frame(const json::object& file) {
    tokenizer_.frame_ = read_post_processor(file);
    for (const auto* side : {&tokenizer_.frame_.before, &tokenizer_.frame_.after}) {
      for (const TokenId id : *side) {
        if (id >= tokenizer_.vocabulary_size())
          fail_loading(concat("post_processor adds id ", id, ", which no token has"));
      }
    }
  }

  Tokenizer tokenizer_;
  const std::unordered_map<std::string, char> spelling_ = byte_spelling();
};

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& tokenizer_json) {
  const auto error = [&](const std::string& what) {
    return Error{Code::kInvalidArgument, concat(tokenizer_json.string(), ": ", what)};
  };
  std::ifstream stream(tokenizer_json, std::ios::binary);
  if (!stream) return error("cannot be opened");
  std::ostringstream text;
  text << stream.rdbuf();
  boost::system::error_code code;
  const json::value file = json::parse(text.str(), code);
  if (code) return error(concat("is not JSON: ", code.message()));
  if (!file.is_object()) return error("is not a JSON object");
  try {
    return TokenizerLoader().load(file.get_object());
  } catch (const LoadFailure& failure) {
    return error(failure.message);
  }
}

}  // namespace rubato
