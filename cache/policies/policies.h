#pragma once

#include "cache/policy.h"

namespace rubato {

// One per file in this folder; docs/algorithm.md says what each computes.
extern const Policy kNonePolicy;
extern const Policy kPrefixPolicy;
extern const Policy kDualPolicy;
extern const Policy kElasticPolicy;
extern const Policy kIntervalPolicy;
extern const Policy kDkvPolicy;
extern const Policy kFlashPolicy;
extern const Policy kHorizonPolicy;

}  // namespace rubato
