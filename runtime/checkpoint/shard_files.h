#pragma once

#include <filesystem>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/checkpoint/safetensors.h"

namespace rubato {

/// Opens the weights of a folder: the shards that model.safetensors.index.json names, or, without
/// an index, the one .safetensors file there is. With an index, every tensor must lie in the shard
/// that the index says, in no other, and no shard may hold a tensor that the index does not know.
Result<std::vector<SafetensorsFile>> open_shards(const std::filesystem::path& folder);

}  // namespace rubato
