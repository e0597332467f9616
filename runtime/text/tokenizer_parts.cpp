#include "runtime/text/tokenizer_parts.h"

#include <limits>

#include "runtime/base/concat.h"
#include "runtime/text/tokenizer_json.h"

namespace rubato {
namespace {

namespace json = boost::json;

// The pattern of ByteLevel's own splitting (`use_regex`), GPT-2's.
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The component called `key`; null where the file has none.
const json::object* find_component(const json::object& file, const char* key) {
  const json::value* component = file.if_contains(key);
  return component == nullptr || component->is_null() ? nullptr
                                                      : &object_at(file, key, "tokenizer");
}

std::string split_pattern(const json::object& split) {
  const std::string behavior = text_at(split, "behavior", "pre_tokenizer.Split");
  if (behavior != "Isolated")
    fail_loading(concat("pre_tokenizer.Split.behavior is '", behavior, "'; supported: 'Isolated'"));
  require_absent(split, "invert", "pre_tokenizer.Split");
  return text_at(
      object_at(split, "pattern", "pre_tokenizer.Split"), "Regex", "pre_tokenizer.Split.pattern");
}

/// The ids of a template's special token: the file lists them beside the template.
std::vector<TokenId> ids_of_special(const json::object& processor, const std::string& name) {
  constexpr const char* kWhere = "post_processor.special_tokens";
  const json::object& tokens = object_at(processor, "special_tokens", "post_processor");
  const json::value& ids = member(object_at(tokens, name.c_str(), kWhere), "ids", kWhere);
  if (!ids.is_array()) fail_loading(concat(kWhere, ".", name, ".ids is not a list"));
  std::vector<TokenId> read;
  for (const json::value& id : ids.get_array()) {
    if (!id.is_int64() || id.get_int64() < 0 ||
        id.get_int64() > std::numeric_limits<TokenId>::max())
      fail_loading(concat(kWhere, ".", name, ".ids holds something that is not an id"));
    read.push_back(static_cast<TokenId>(id.get_int64()));
  }
  return read;
}

SpecialFrame read_template(const json::object& processor) {
  constexpr const char* kWhere = "post_processor.single";
  SpecialFrame frame;
  bool text_seen = false;
  for (const json::object* piece : objects_at(processor, "single", "post_processor")) {
    if (piece->contains("SpecialToken")) {
      const std::string name = text_at(object_at(*piece, "SpecialToken", kWhere), "id", kWhere);
      std::vector<TokenId>& side = text_seen ? frame.after : frame.before;
      for (const TokenId id : ids_of_special(processor, name)) side.push_back(id);
    } else if (!text_seen && text_at(object_at(*piece, "Sequence", kWhere), "id", kWhere) == "A") {
      text_seen = true;
    } else {
      fail_loading("post_processor.single holds more than one text; supported: 'A', once");
    }
  }
  if (!text_seen) fail_loading("post_processor.single holds no text");
  return frame;
}

}  // namespace

std::vector<NormalForm> read_normalizer(const json::object& file) {
  const json::object* normalizer = find_component(file, "normalizer");
  if (normalizer == nullptr) return {};
  std::vector<NormalForm> forms;
  for (const json::object* part : parts_of(*normalizer, "normalizers", "normalizer")) {
    const std::string type = text_at(*part, "type", "normalizer");
    if (type == "NFC") {
      forms.push_back(NormalForm::kNfc);
    } else if (type == "NFD") {
      forms.push_back(NormalForm::kNfd);
    } else if (type == "NFKC") {
      forms.push_back(NormalForm::kNfkc);
    } else if (type == "NFKD") {
      forms.push_back(NormalForm::kNfkd);
    } else {
      fail_loading(
          concat("normalizer '", type, "' is not supported; supported: NFC, NFD, NFKC, NFKD"));
    }
  }
  return forms;
}

std::unique_ptr<const PreTokenizer> read_pre_tokenizer(const json::object& file) {
  const json::object& pre_tokenizer = object_at(file, "pre_tokenizer", "tokenizer");
  std::string pattern;
  bool prefix_space = false, byte_level = false;
  for (const json::object* part : parts_of(pre_tokenizer, "pretokenizers", "pre_tokenizer")) {
    const std::string type = text_at(*part, "type", "pre_tokenizer");
    if (type == "Split" && pattern.empty() && !byte_level) {
      pattern = split_pattern(*part);
    } else if (type == "ByteLevel" && !byte_level) {
      byte_level = true;
      prefix_space = flag(*part, "add_prefix_space", true);
      // It would put a space before every piece of the Split, not before the text.
      if (prefix_space && !pattern.empty())
        fail_loading("pre_tokenizer.ByteLevel.add_prefix_space after a Split is not supported");
      if (flag(*part, "use_regex", true)) {
        if (!pattern.empty())
          fail_loading(
              "pre_tokenizer has a Split and a ByteLevel with use_regex; only one may split");
        pattern = kByteLevelPattern;
      }
    } else {
      fail_loading(concat("pre_tokenizer '",
                          type,
                          "' is not supported here; supported: one Split, then one ByteLevel"));
    }
  }
  if (!byte_level) fail_loading("pre_tokenizer has no ByteLevel; only byte-level BPE is supported");
  auto compiled = PreTokenizer::compile(pattern, prefix_space);
  if (!compiled) fail_loading(concat("pre_tokenizer: ", compiled.error().message));
  return std::move(compiled).value();
}

SpecialFrame read_post_processor(const json::object& file) {
  const json::object* processor = find_component(file, "post_processor");
  if (processor == nullptr) return {};
  SpecialFrame frame;
  bool template_seen = false;
  for (const json::object* part : parts_of(*processor, "processors", "post_processor")) {
    const std::string type = text_at(*part, "type", "post_processor");
    if (type == "ByteLevel") continue;  // only moves offsets, which are not used
    if (type != "TemplateProcessing")
      fail_loading(concat("post_processor '",
                          type,
                          "' is not supported; supported: ByteLevel, TemplateProcessing"));
    if (template_seen) fail_loading("post_processor has two TemplateProcessing; supported: one");
    template_seen = true;
    frame = read_template(*part);
  }
  return frame;
}

}  // namespace rubato
