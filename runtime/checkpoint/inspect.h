#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/checkpoint/model_config.h"
#include "runtime/checkpoint/tensor_names.h"

namespace rubato {

/// What `inspect` should calculate.
struct InspectOptions {
  std::vector<int> tp_sizes = {1, 2, 4, 8};
  /// The dtype of weights and caches in memory; by default the checkpoint's own.
  std::optional<DType> dtype;
  bool float8 = false;  ///< the layers' matrices in float8, as on GPUs
  /// Memory of one device, in GiB. The defaults are those of common accelerators.
  std::vector<double> device_gib = {24, 48, 80, 141};
  /// Kept free on each device for libraries, activations and communication buffers, in GiB.
  double reserve_gib = 2;
};

/// One .safetensors file.
struct ShardFacts {
  std::string file;
  std::int64_t bytes = 0;
  int num_tensors = 0;
};

/// For how many sequences of each of `Inspection::lengths` the caches fit beside the weights on one
/// device. All zero if the weights alone do not fit.
struct DeviceFit {
  double device_gib = 0;
  std::vector<std::int64_t> sequences;
};

/// What a rank holds at one tensor-parallel size.
struct RankMemory {
  int tp_size = 1;
  std::string problem;  ///< why this size cannot be used (the rest is then 0); else empty
  std::int64_t parameters = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t cache_bytes_per_token = 0;  ///< X, Q, K and V of all layers for one position
  std::vector<DeviceFit> fits;
};

/// What a checkpoint contains and what it takes to serve it.
struct Inspection {
  std::string folder;
  ModelConfig config;
  Naming naming = Naming::kLlada;
  std::int64_t parameters = 0;       ///< counted in the headers
  int num_tensors = 0;               ///< weights, without ignored buffers
  std::vector<DType> stored_dtypes;  ///< those in the files, in the order of `DType`
  std::vector<ShardFacts> shards;
  DType dtype = DType::kFloat32;  ///< of the memory figures
  bool float8 = false;            ///< except the layers' matrices, in float8
  double reserve_gib = 0;
  std::vector<std::int64_t> lengths;  ///< canvas lengths of `DeviceFit`, up to the context
  std::vector<RankMemory> ranks;
  std::vector<std::string> notes;  ///< remarks that do not prevent serving
};

/// Examines a checkpoint's configuration and file headers; reads no weights. For a checkpoint that
/// cannot be served it returns the error that loading would.
Result<Inspection> inspect(const std::filesystem::path& folder, const InspectOptions& options = {});

/// For people: aligned columns, several lines.
std::string to_table(const Inspection& inspection);

/// For programs: one JSON object with the fields of `Inspection`, sizes in bytes.
std::string to_json(const Inspection& inspection);

}  // namespace rubato
