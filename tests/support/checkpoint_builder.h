#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "runtime/checkpoint/model_config.h"
#include "runtime/checkpoint/tensor_names.h"

namespace rubato::testing {

/// A small model's configuration for tests: `vocab_size` ids, of which the last three are eos
/// (= pad), mask and bos.
ModelConfig small_config(int n_layers = 2,
                         int d_model = 32,
                         int n_heads = 4,
                         int mlp_hidden_size = 48,
                         int vocab_size = 64);

/// A whole model: its configuration and, under the LLaDA names, its weights in float32, row-major.
struct TestModel {
  ModelConfig config;
  std::map<std::string, std::vector<float>> tensors;

  std::vector<float>& at(TensorKind kind, int layer = 0);
  const std::vector<float>& at(TensorKind kind, int layer = 0) const;
};

/// Normally distributed weights of the given deviation, norms around 1. The same seed gives the
/// same model everywhere. At d_model 64 a deviation under about 0.25 makes attention uniform.
TestModel random_model(const ModelConfig& config, std::uint64_t seed, double projection_std = 0.25);

struct CheckpointOptions {
  DType dtype = DType::kFloat32;  ///< of the stored tensors
  Naming naming = Naming::kLlada;
  int num_shards = 1;  ///< 1: model.safetensors alone; more: shards and an index
};

/// Writes config.json, generation_config.json and the weights into an existing folder.
void write_checkpoint(const std::filesystem::path& folder,
                      const TestModel& model,
                      const CheckpointOptions& options = {});

void write_file(const std::filesystem::path& file, const std::string& bytes);

/// The bytes of a safetensors file: the header's length, the header, the data.
std::string safetensors_bytes(const std::string& header, const std::string& data);

}  // namespace rubato::testing
