#pragma once

#include <filesystem>
#include <string_view>

#include "runtime/checkpoint/model_config.h"

namespace rubato::testing {

/// config.json as LLaDA-8B-Instruct is published with.
extern const std::string_view kLlada8bConfigJson;

/// Lays out LLaDA-8B-Instruct's folder in `folder`: configuration, index and six shards whose cuts
/// fall inside blocks, with real headers and sparse data (all zeros, no disk used).
void write_sparse_llada_8b(const std::filesystem::path& folder);

}  // namespace rubato::testing
