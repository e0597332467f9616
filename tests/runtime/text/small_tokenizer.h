#pragma once

#include <string>
#include <string_view>

#include "runtime/text/tokenizer.h"

namespace rubato::testing {

/// tokenizer.json of a byte-level BPE with LLaDA's pattern: ids 0-255 are the bytes in the order of
/// their spelling's code points, 256 "he", 257 "ll", 258 "hell", 259 "hello"; then LLaDA's special
/// tokens from 260. `from`, where it is not empty, is replaced by `to` once: how a test breaks it.
std::string small_tokenizer_json(std::string_view from = {}, std::string_view to = {});

/// The tokenizer of such a file; ends the program if it does not load.
Tokenizer small_tokenizer();

}  // namespace rubato::testing
