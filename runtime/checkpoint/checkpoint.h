#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/checkpoint/model_config.h"
#include "runtime/checkpoint/safetensors.h"
#include "runtime/checkpoint/tensor_names.h"
#include "runtime/checkpoint/tensor_view.h"

namespace rubato {

/// An open model folder: its configuration and its weights, mapped but not yet read. Once open, it
/// has every weight exactly once, in the right shape. Keep it only while weights are copied. Any
/// thread.
class Checkpoint {
 public:
  /// Reads config.json and the headers of all shards and checks them against each other. The error
  /// names the file, the tensor or key, what was found and what is supported.
  static Result<Checkpoint> open(const std::filesystem::path& folder);

  const ModelConfig& config() const { return config_; }

  /// A weight, however the files name it. `layer` must be one of the model's.
  TensorView tensor(TensorKind kind, int layer = 0) const;

  const std::vector<SafetensorsFile>& shards() const { return shards_; }
  Naming naming() const { return naming_; }

  /// Names of buffers in the files that are not used.
  const std::vector<std::string>& ignored() const { return ignored_; }

  /// Bytes of weights copied out so far.
  std::uint64_t bytes_read() const;

 private:
  Checkpoint() = default;

  ModelConfig config_;
  std::vector<SafetensorsFile> shards_;
  std::map<TensorId, TensorView> tensors_;
  Naming naming_ = Naming::kLlada;
  std::vector<std::string> ignored_;
};

}  // namespace rubato
