#pragma once

#include <boost/json/object.hpp>

#include "runtime/checkpoint/model_config.h"

namespace rubato {

/// Every field of `config` under its name in config.json, in the order of `ModelConfig`.
boost::json::object to_json(const ModelConfig& config);

/// A model's config.json as exports of LLaDA write it, from which `read_model_config` reads
/// `config` (what generation_config.json says aside).
boost::json::object config_json(const ModelConfig& config);

}  // namespace rubato
