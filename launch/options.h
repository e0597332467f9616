#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "launch/config.h"

namespace rubato {

/// The options that make up the configuration: a file, flags for single keys, and --set for all
/// others. Must outlive the parsing of the command they were added to.
class ConfigOptions {
 public:
  explicit ConfigOptions(CLI::App& command);

  /// The resulting configuration; call after parsing. --set overrides the file, a flag
  /// overrides --set.
  Result<Config> load() const;

 private:
  struct Flag {
    ConfigOverride change;
    const CLI::Option* option;  // which knows whether it was given
  };

  void add_flag(CLI::App& command,
                const std::string& flag,
                const std::string& type,
                std::string key);

  std::filesystem::path file_;
  const CLI::Option* file_option_;  // which knows whether it was given
  std::vector<std::string> sets_;
  std::vector<std::unique_ptr<Flag>> flags_;
};

}  // namespace rubato
