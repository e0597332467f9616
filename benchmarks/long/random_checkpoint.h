#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/base/error.h"
#include "runtime/checkpoint/model_config.h"

namespace rubato {

/// The sizes of a random model.
struct RandomShape {
  int layers = 6;
  int width = 256;
  int heads = 8;
  int mlp = 768;
  int vocabulary = 576;
  int context = 4096;
};

/// "random weights, 6 layers, 256 wide, 8 heads, mlp 768, 576 ids"
std::string describe(const RandomShape& shape);

ModelConfig config_of(const RandomShape& shape);

/// A temporary folder with config.json and weights, removed by the destructor. The same shape gives
/// the same weights on every machine: projections that preserve a row's magnitude, queries and keys
/// that double it, so that attention is not uniform. No tokenizer.
class RandomCheckpoint {
 public:
  /// Errors: kInvalidArgument, for inconsistent sizes or a folder that cannot be written.
  static Result<RandomCheckpoint> write(const RandomShape& shape);

  RandomCheckpoint(RandomCheckpoint&& other) noexcept;
  RandomCheckpoint& operator=(RandomCheckpoint&&) = delete;
  ~RandomCheckpoint();

  const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit RandomCheckpoint(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path folder_;  // empty once moved from
};

}  // namespace rubato
