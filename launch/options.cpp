#include "launch/options.h"

#include <algorithm>

#include "launch/config_keys.h"
#include "runtime/base/concat.h"

namespace rubato {

ConfigOptions::ConfigOptions(CLI::App& command) {
  file_option_ =
      command
          .add_option(
              "--config", file_, "Configuration file; launch/rubato.toml documents every key")
          ->type_name("FILE");
  add_flag(command, "--model", "DIR", "model.path");
  add_flag(command, "--tp", "N", "engine.tp");
  add_flag(command, "--replicas", "N", "engine.replicas");
  add_flag(command, "--port", "P", "server.port");
  add_flag(command, "--device", "NAME", "engine.device");
  add_flag(command, "--dtype", "TYPE", "model.dtype");
  add_flag(command, "--quantization", "NAME", "model.quantization");
  command.add_option("--set", sets_, "One configuration value; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
}

void ConfigOptions::add_flag(CLI::App& command,
                             const std::string& flag,
                             const std::string& type,
                             std::string key) {
  Config defaults;
  const std::vector<ConfigKey> keys = config_keys(defaults);
  const auto found = std::ranges::find(keys, key, &ConfigKey::dotted);
  const std::string help = concat("Configuration key ",
                                  found->dotted(),
                                  ": ",
                                  found->allowed(),
                                  " (default ",
                                  show_value(*found),
                                  ")");
  Flag& made = *flags_.emplace_back(std::make_unique<Flag>(Flag{{std::move(key), ""}, nullptr}));
  made.option = command.add_option(flag, made.change.value, help)->type_name(type);
}

Result<Config> ConfigOptions::load() const {
  if (file_option_->count() > 0 && file_.empty())
    return Error{Code::kInvalidArgument, "--config \"\" names no file", "--config"};
  std::vector<ConfigOverride> overrides;
  for (const std::string& text : sets_) {
    auto parsed = parse_override(text);
    if (!parsed) return Error{Code::kInvalidArgument, "--set " + parsed.error().message, "--set"};
    overrides.push_back(*std::move(parsed));
  }
  for (const auto& flag : flags_) {
    if (flag->option->count() > 0) overrides.push_back(flag->change);
  }
  return load_config(file_, overrides);
}

}  // namespace rubato
