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

/// What `inspect` works out besides what the files say.
struct InspectOptions {
  std::vector<int> tp_sizes = {1, 2, 4, 8};
  /// What weights and caches would be held in; the checkpoint's own dtype when not given.
  std::optional<DType> dtype;
  bool float8 = false;  ///< the layers' matrices in float8, as GPUs hold them
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

/// How many sequences of each of `Inspection::lengths` one device's free memory holds the caches
/// of. All zero where the weights alone do not fit.
struct DeviceFit {
  double device_gib = 0;
  std::vector<std::int64_t> sequences;
};

/// What a rank holds at one tensor-parallel size.
struct RankMemory {
  int tp_size = 1;
  std::string problem;  ///< why this size cannot be used; empty when it can. The rest is 0 then.
  std::int64_t parameters = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t cache_bytes_per_token = 0;  ///< X, Q, K and V of all layers for one position
  std::vector<DeviceFit> fits;
};

/// What a checkpoint is and what it takes to serve it.
struct Inspection {
  std::string folder;
  ModelConfig config;
  Naming naming = Naming::kLlada;
  std::int64_t parameters = 0;       ///< counted in the headers
  int num_tensors = 0;               ///< weights, without ignored buffers
  std::vector<DType> stored_dtypes;  ///< that occur in the files, in the order of `DType`
  std::vector<ShardFacts> shards;
  DType dtype = DType::kFloat32;  ///< that the memory figures are for
  bool float8 = false;            ///< but the layers' matrices in float8
  double reserve_gib = 0;
  std::vector<std::int64_t> lengths;  ///< canvas lengths of `DeviceFit`, up to the context
  std::vector<RankMemory> ranks;
  std::vector<std::string> notes;  ///< what is worth knowing, but stops nothing
};

/// Examines a checkpoint by its configuration and the headers of its files; no weight is read. A
/// checkpoint that cannot be served is the error that loading it would give.
Result<Inspection> inspect(const std::filesystem::path& folder, const InspectOptions& options = {});

/// For a person: aligned columns, several lines.
std::string to_table(const Inspection& inspection);

/// For a program: one JSON object with the fields of `Inspection`, sizes in bytes.
std::string to_json(const Inspection& inspection);

}  // namespace rubato
