#pragma once

#include <filesystem>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/checkpoint/safetensors.h"

namespace rubato {

/// Opens the weights of a folder: the shards that model.safetensors.index.json names, or, without
/// an index, the only .safetensors file. With an index, every tensor must be in the shard that the
/// index names and in no other, and no shard may have a tensor that is not in the index.
Result<std::vector<SafetensorsFile>> open_shards(const std::filesystem::path& folder);

}  // namespace rubato
