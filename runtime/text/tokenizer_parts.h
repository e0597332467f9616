#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <vector>

#include "runtime/text/normalizer.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/tokenizer.h"

namespace rubato {

// The components of a tokenizer.json around its model. `file` is the whole file; an
// unsupported component fails the loading (see tokenizer_json.h) with its name.

/// The normal forms that are applied to text, in order; none if the file has no normalizer.
std::vector<NormalForm> read_normalizer(const boost::json::object& file);

std::unique_ptr<const PreTokenizer> read_pre_tokenizer(const boost::json::object& file);

/// The ids that the post-processor puts around one text; none if it adds none. The pair template is
/// not read: texts are never encoded in pairs.
SpecialFrame read_post_processor(const boost::json::object& file);

}  // namespace rubato
