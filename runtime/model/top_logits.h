#pragma once

#include <span>
#include <vector>

#include "cache/types.h"
#include "runtime/decoding/token_logprob.h"

namespace rubato {

/// Appends the `count` highest logits of a rank's slice, which begins with `first_id`, as (id,
/// logit) pairs, best first, ties by lowest id. If the slice is shorter, it is padded with ids of
/// -1.
void append_top(std::span<const float> logits,
                TokenId first_id,
                int count,
                std::vector<double>& out);

/// The best `count` of what all ranks appended for one row: rank r's pairs begin at
/// `gathered[begin + r * stride]`. `log_sum`: the logarithm of the sum of exp(z - most) over the
/// vocabulary.
std::vector<TokenLogprob> merge_top(std::span<const double> gathered,
                                    std::size_t begin,
                                    std::size_t stride,
                                    int count,
                                    double most,
                                    double log_sum);

}  // namespace rubato
