#include "launch/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

// Parse errors as values: no exception leaves this file.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "launch/config_keys.h"
#include "runtime/base/check.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

Error invalid(std::string message, std::string key = {}) {
  return {Code::kInvalidArgument, std::move(message), std::move(key)};
}

/// The names of the sections, or of one section's keys, for messages.
std::string list_names(const std::vector<ConfigKey>& keys, std::string_view section) {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : keys) {
    if (!section.empty() && key.section != section) continue;
    const std::string_view name = section.empty() ? key.section : key.name;
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  std::string listed;
  for (const std::string_view name : names)
    listed += (listed.empty() ? "" : ", ") + std::string(name);
  return listed;
}

Result<const ConfigKey*> find_key(const std::vector<ConfigKey>& keys,
                                  std::string_view section,
                                  std::string_view name) {
  const auto found = std::ranges::find_if(
      keys, [&](const ConfigKey& key) { return key.section == section && key.name == name; });
  if (found != keys.end()) return &*found;
  const std::string dotted = name.empty() ? std::string(section) : concat(section, '.', name);
  const bool known_section = std::ranges::count(keys, section, &ConfigKey::section) > 0;
  return invalid(
      known_section
          ? concat("unknown key ", dotted, "; [", section, "] has: ", list_names(keys, section))
          : concat("unknown section in ", dotted, "; there are: ", list_names(keys, "")),
      dotted);
}

std::string show_node(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  return std::move(out).str();
}

Status assign_node(const ConfigKey& key, const toml::node& node) {
  if (const auto* text = node.as_string()) return assign(key, std::string_view(text->get()));
  if (const auto* whole = node.as_integer())
    return assign(key, static_cast<double>(whole->get()), show_node(node));
  if (const auto* real = node.as_floating_point()) return assign(key, real->get(), show_node(node));
  return not_allowed(key, show_node(node));
}

Status apply_table(const toml::table& table,
                   const std::vector<ConfigKey>& keys,
                   const std::string& file) {
  const auto at_line = [&](const toml::node& node, Error error) {
    error.message = concat(file, ", line ", node.source().begin.line, ": ", error.message);
    return error;
  };
  for (const auto& [section, node] : table) {
    const toml::table* entries = node.as_table();
    if (entries == nullptr || entries->empty()) {
      const bool known = std::ranges::count(keys, section.str(), &ConfigKey::section) > 0;
      if (known && entries != nullptr) continue;
      return at_line(
          node,
          invalid(
              concat("unexpected ", section.str(), "; the sections are: ", list_names(keys, "")),
              std::string(section.str())));
    }
    for (const auto& [name, value] : *entries) {
      const auto key = find_key(keys, section.str(), name.str());
      if (!key) return at_line(value, key.error());
      if (const Status assigned = assign_node(**key, value); !assigned)
        return at_line(value, assigned.error());
    }
  }
  return {};
}

Status apply_file(const std::filesystem::path& file, const std::vector<ConfigKey>& keys) {
  const toml::parse_result parsed = toml::parse_file(file.string());
  if (!parsed) {
    const auto line = parsed.error().source().begin.line;  // 0: the file could not be read
    return invalid(concat(file.string(),
                          line > 0 ? concat(", line ", line) : "",
                          ": ",
                          parsed.error().description()));
  }
  return apply_table(parsed.table(), keys, file.string());
}

Status apply_override(const ConfigOverride& change, const std::vector<ConfigKey>& keys) {
  const std::size_t dot = std::min(change.key.find('.'), change.key.size());
  const std::string_view dotted = change.key;
  const auto key =
      find_key(keys, dotted.substr(0, dot), dotted.substr(std::min(dot + 1, dotted.size())));
  if (!key) return key.error();
  const bool is_word = std::ranges::count((*key)->words, change.value) > 0;
  if (is_word || std::holds_alternative<std::string*>((*key)->place))
    return assign(**key, std::string_view(change.value));
  double number = 0;
  const char* const end = change.value.data() + change.value.size();
  const auto [stop, failure] = std::from_chars(change.value.data(), end, number);
  if (failure != std::errc() || stop != end)
    return not_allowed(**key, concat('"', change.value, '"'));
  return assign(**key, number, change.value);
}

}  // namespace

Result<Config> load_config(const std::filesystem::path& file,
                           const std::vector<ConfigOverride>& overrides) {
  Config config;
  const std::vector<ConfigKey> keys = config_keys(config);
  if (!file.empty()) {
    if (const Status applied = apply_file(file, keys); !applied) return applied.error();
  }
  for (const ConfigOverride& change : overrides) {
    if (const Status applied = apply_override(change, keys); !applied) return applied.error();
  }
  return config;
}

Result<ConfigOverride> parse_override(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return invalid(concat('"', text, "\" is not of the form section.key=value"));
  return ConfigOverride{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::vector<std::string> describe(const Config& config) {
  Config copy = config;
  std::vector<std::string> lines;
  std::string_view section;
  for (const ConfigKey& key : config_keys(copy)) {
    const bool first = key.section != section;
    section = key.section;
    if (first) lines.push_back(concat('[', section, ']'));
    lines.back() += concat(first ? " " : ", ", key.name, " = ", show_value(key));
  }
  return lines;
}

PolicyParams policy_params(const DecodingSection& decoding) {
  PolicyParams params = decoding.parameters;
  params.policy = find_policy(decoding.policy);
  const auto drift = parse_drift_measure(decoding.drift);
  RUBATO_CHECK(params.policy != nullptr && drift, decoding.policy, ", ", decoding.drift);
  params.drift = *drift;
  return params;
}

CommitParams commit_params(const DecodingSection& decoding) {
  return {.rule = CommitRule::kThreshold, .threshold = decoding.threshold};
}

LogLevel log_level(const LogSection& log) {
  if (log.level == "debug") return LogLevel::kDebug;
  if (log.level == "warning") return LogLevel::kWarning;
  return log.level == "error" ? LogLevel::kError : LogLevel::kInfo;
}

}  // namespace rubato
