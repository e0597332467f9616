#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "runtime/base/concat.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/tokenizer.h"

namespace rubato {
namespace {

namespace json = boost::json;

// The pattern of ByteLevel's own splitting (`use_regex`), GPT-2's.
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::int64_t kMostIds = 1 << 22;

/// What went wrong while loading; thrown inside the loader only and turned into an Error at its
/// border.
struct LoadFailure {
  std::string message;
};

[[noreturn]] void fail(const std::string& message) {
  throw LoadFailure{message};
}

const json::value& member(const json::object& object, const char* key, const char* where) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) fail(concat(where, ".", key, " is missing"));
  return *value;
}

const json::object& object_at(const json::object& object, const char* key, const char* where) {
  const json::value& value = member(object, key, where);
  if (!value.is_object()) fail(concat(where, ".", key, " is not an object"));
  return value.get_object();
}

std::string text_at(const json::object& object, const char* key, const char* where) {
  const json::value& value = member(object, key, where);
  if (!value.is_string()) fail(concat(where, ".", key, " is not a string"));
  return std::string(value.get_string());
}

bool flag(const json::object& object, const char* key, bool otherwise) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() ? value->get_bool() : otherwise;
}

void require_absent(const json::object& object, const char* key, const char* where) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null() || (value->is_bool() && !value->get_bool())) return;
  if (value->is_string() && value->get_string().empty()) return;
  fail(concat(where, ".", key, " is set; it is not supported"));
}

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
    require_absent(file, "normalizer", "tokenizer");
    read_pre_tokenizer(object_at(file, "pre_tokenizer", "tokenizer"));
    read_model(object_at(file, "model", "tokenizer"));
    read_added_tokens(file);
    return std::move(tokenizer_);
  }

 private:
  void read_pre_tokenizer(const json::object& object) {
    std::vector<const json::object*> parts;
    if (text_at(object, "type", "pre_tokenizer") == "Sequence") {
      const json::value& list = member(object, "pretokenizers", "pre_tokenizer");
      if (!list.is_array()) fail("pre_tokenizer.pretokenizers is not a list");
      for (const json::value& part : list.get_array()) {
        if (!part.is_object())
          fail("pre_tokenizer.pretokenizers holds something that is not an object");
        parts.push_back(&part.get_object());
      }
    } else {
      parts.push_back(&object);
    }
    std::string pattern;
    bool prefix_space = false, byte_level = false;
    for (const json::object* part : parts) {
      const std::string type = text_at(*part, "type", "pre_tokenizer");
      if (type == "Split" && pattern.empty() && !byte_level) {
        pattern = split_pattern(*part);
      } else if (type == "ByteLevel" && !byte_level) {
        byte_level = true;
        prefix_space = flag(*part, "add_prefix_space", true);
        // It would put a space before every piece of the Split, not before the text.
        if (prefix_space && !pattern.empty())
          fail("pre_tokenizer.ByteLevel.add_prefix_space after a Split is not supported");
        if (flag(*part, "use_regex", true)) {
          if (!pattern.empty())
            fail("pre_tokenizer has a Split and a ByteLevel with use_regex; only one may split");
          pattern = kByteLevelPattern;
        }
      } else {
        fail(concat("pre_tokenizer '",
                    type,
                    "' is not supported here; supported: one Split, then one ByteLevel"));
      }
    }
    if (!byte_level) fail("pre_tokenizer has no ByteLevel; only byte-level BPE is supported");
    auto compiled = PreTokenizer::compile(pattern, prefix_space);
    if (!compiled) fail(concat("pre_tokenizer: ", compiled.error().message));
    tokenizer_.pre_tokenizer_ = std::move(compiled).value();
  }

  static std::string split_pattern(const json::object& split) {
    const std::string behavior = text_at(split, "behavior", "pre_tokenizer.Split");
    if (behavior != "Isolated")
      fail(concat("pre_tokenizer.Split.behavior is '", behavior, "'; supported: 'Isolated'"));
    require_absent(split, "invert", "pre_tokenizer.Split");
    return text_at(
        object_at(split, "pattern", "pre_tokenizer.Split"), "Regex", "pre_tokenizer.Split.pattern");
  }

  void read_model(const json::object& model) {
    const std::string type = text_at(model, "type", "model");
    if (type != "BPE") fail(concat("model.type is '", type, "'; supported: 'BPE'"));
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
        fail(concat("model.vocab has no token for byte ", byte));
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
        fail(concat(
            "model.vocab: '", token.substr(0, 40), "' is not spelled in byte-level characters"));
      bytes += byte->second;
      at += length;
    }
    const TokenId number = checked_id(id, token);
    place(number, bytes);
    if (!tokenizer_.id_of_.emplace(token, number).second)
      fail(concat("model.vocab: '", token.substr(0, 40), "' occurs twice"));
    tokenizer_.id_of_bytes_.emplace(std::move(bytes), number);
  }

  static TokenId checked_id(const json::value& id, const std::string& token) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= kMostIds) {
      fail(concat(
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
  }

  void read_merges(const json::value& merges) {
    if (!merges.is_array()) fail("model.merges is not a list");
    std::int32_t rank = 0;
    for (const json::value& merge : merges.get_array()) {
      const auto [left, right] = merge_parts(merge);
      const auto a = tokenizer_.id_of_.find(left), b = tokenizer_.id_of_.find(right),
                 ab = tokenizer_.id_of_.find(left + right);
      if (a == tokenizer_.id_of_.end() || b == tokenizer_.id_of_.end() ||
          ab == tokenizer_.id_of_.end()) {
        fail(concat("model.merges[", rank, "] names a token that model.vocab lacks"));
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
    fail("model.merges holds something that is neither \"a b\" nor [\"a\", \"b\"]");
  }

  void read_added_tokens(const json::object& file) {
    const json::value* list = file.if_contains("added_tokens");
    if (list == nullptr || list->is_null()) return;
    if (!list->is_array()) fail("added_tokens is not a list");
    for (const json::value& entry : list->get_array()) {
      if (!entry.is_object()) fail("added_tokens holds something that is not an object");
      const json::object& token = entry.get_object();
      const std::string content = text_at(token, "content", "added_tokens");
      const TokenId id = checked_id(member(token, "id", "added_tokens"), content);
      if (!flag(token, "special", false))
        fail(concat("added token '",
                    content.substr(0, 40),
                    "' is not special; only special ones are supported"));
      place(id, content);
      tokenizer_.special_[id] = true;
      tokenizer_.id_of_[content] = id;
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
