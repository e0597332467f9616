#pragma once

#include <boost/json/object.hpp>

#include "runtime/checkpoint/model_config.h"

namespace rubato {

/// Every field of `config` under its name in config.json, in the order of `ModelConfig`.
boost::json::object to_json(const ModelConfig& config);

}  // namespace rubato
