#include "runtime/checkpoint/inspect.h"

#include <algorithm>
#include <set>

#include "runtime/base/concat.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/checkpoint/shard.h"

namespace rubato {
namespace {

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
constexpr int kCachedMatrices = 4;  // X, Q, K and V, each d_model wide

// 512, 1024 and on by factors of four, and the whole context.
std::vector<std::int64_t> sample_lengths(std::int64_t context) {
  std::vector<std::int64_t> lengths;
  for (const std::int64_t length : {512, 1024, 4096, 16384, 65536}) {
    if (length < context) lengths.push_back(length);
  }
  lengths.push_back(context);
  return lengths;
}

DeviceFit fit_device(double device_gib, const RankMemory& rank, const Inspection& inspection) {
  DeviceFit fit{device_gib, {}};
  const double free_bytes =
      (device_gib - inspection.reserve_gib) * kGib - static_cast<double>(rank.weight_bytes);
  for (const std::int64_t length : inspection.lengths) {
    const auto each = static_cast<double>(length * rank.cache_bytes_per_token);
    fit.sequences.push_back(static_cast<std::int64_t>(std::max(0.0, free_bytes) / each));
  }
  return fit;
}

RankMemory rank_memory(int tp_size, const InspectOptions& options, const Inspection& inspection) {
  RankMemory rank;
  rank.tp_size = tp_size;
  const ModelConfig& config = inspection.config;
  if (const Status shardable = check_shardable(config, tp_size); !shardable) {
    rank.problem = shardable.error().message;
    return rank;
  }
  const std::int64_t value_bytes = byte_size(inspection.dtype);
  const std::int64_t width = config.d_model / tp_size;
  rank.parameters = parameters_per_rank(config, tp_size);
  rank.weight_bytes = weight_bytes_per_rank(config, tp_size, inspection.dtype, inspection.float8);
  rank.cache_bytes_per_token = kCachedMatrices * width * config.n_layers * value_bytes;
  for (const double device_gib : options.device_gib) {
    rank.fits.push_back(fit_device(device_gib, rank, inspection));
  }
  return rank;
}

void describe_files(const Checkpoint& checkpoint, Inspection& inspection) {
  for (const SafetensorsFile& shard : checkpoint.shards()) {
    inspection.shards.push_back({shard.path().filename().string(),
                                 static_cast<std::int64_t>(shard.mapping().bytes().size()),
                                 static_cast<int>(shard.tensors().size())});
  }
  std::set<DType> stored;
  for (const TensorId id : all_tensors(checkpoint.config())) {
    const TensorView tensor = checkpoint.tensor(id.kind, id.layer);
    inspection.parameters += tensor.rows * tensor.cols;
    ++inspection.num_tensors;
    stored.insert(tensor.dtype);
  }
  inspection.stored_dtypes.assign(stored.begin(), stored.end());
}

void take_notes(const std::filesystem::path& folder,
                const InspectOptions& options,
                const Checkpoint& checkpoint,
                Inspection& inspection) {
  auto& notes = inspection.notes;
  for (const DType stored : inspection.stored_dtypes) {
    if (stored == inspection.dtype) continue;
    notes.push_back(concat("weights stored as ",
                           to_string(stored),
                           " are converted to ",
                           to_string(inspection.dtype),
                           " while they are loaded"));
  }
  if (!options.dtype && inspection.dtype != DType::kFloat32) {
    notes.push_back(
        "on CPUs weights and caches are float32, twice these sizes, unless served with "
        "--dtype bfloat16");
  }
  if (options.float8) {
    notes.push_back(concat("float8 is what GPUs hold; on CPUs such weights take as much as other ",
                           to_string(inspection.dtype),
                           " ones"));
  }
  if (!checkpoint.ignored().empty()) {
    notes.push_back(concat(checkpoint.ignored().size(),
                           " rotary buffers are ignored, the first is ",
                           checkpoint.ignored().front()));
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    std::error_code ignored;
    if (!std::filesystem::exists(folder / name, ignored)) {
      notes.push_back(concat(name, " is not in the folder; serving needs it"));
    }
  }
}

Status check_options(const InspectOptions& options) {
  for (const double gib : options.device_gib) {
    if (!(gib > 0 && gib < 1e6)) {
      return Error{Code::kInvalidArgument,
                   concat("device memory is ", gib, " GiB; a positive size is expected"),
                   "device_gib"};
    }
  }
  if (!(options.reserve_gib >= 0 && options.reserve_gib < 1e6)) {
    return Error{Code::kInvalidArgument,
                 concat("the reserve is ", options.reserve_gib, " GiB; 0 or more is expected"),
                 "reserve_gib"};
  }
  return {};
}

}  // namespace

Result<Inspection> inspect(const std::filesystem::path& folder, const InspectOptions& options) {
  if (const Status valid = check_options(options); !valid) return valid.error();
  const auto checkpoint = Checkpoint::open(folder);
  if (!checkpoint) return checkpoint.error();
  Inspection inspection;
  inspection.folder = folder.string();
  inspection.config = checkpoint->config();
  inspection.naming = checkpoint->naming();
  inspection.dtype = options.dtype.value_or(inspection.config.dtype);
  inspection.float8 = options.float8;
  inspection.reserve_gib = options.reserve_gib;
  inspection.lengths = sample_lengths(inspection.config.max_sequence_length);
  describe_files(*checkpoint, inspection);
  for (const int tp_size : options.tp_sizes) {
    inspection.ranks.push_back(rank_memory(tp_size, options, inspection));
  }
  take_notes(folder, options, *checkpoint, inspection);
  return inspection;
}

}  // namespace rubato
