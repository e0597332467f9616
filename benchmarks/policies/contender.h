#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/engine/generation.h"

namespace rubato {

/// A policy with its commit rule and parameters, as compared.
struct Contender {
  std::string name;               ///< as written
  boost::json::object diffusion;  ///< what a client would send

  bool operator==(const Contender&) const = default;
};

/// The default comparison: first LLaDA's own sampler, to which speeds are relative, then every
/// policy of this build.
std::vector<std::string> default_contenders();

/// Reads "POLICY[:PARAMETER=VALUE]...", parameters being those of a request's `diffusion` object:
/// "elastic:gamma=0.7:window=32". Names and values are checked when a request is made from it.
/// Errors: kInvalidArgument, naming the part that cannot be parsed.
Result<Contender> parse_contender(std::string_view text);

/// The same with alternatives: "elastic:gamma=0.9/0.99:window=8/16" is the four contenders that
/// these values make, in order, the last parameter changing fastest; "all" is every policy of this
/// build.
Result<std::vector<Contender>> parse_sweep(std::string_view text);

/// How many tokens a step commits, in words: "confidence >= 0.9", "1 a step".
std::string describe_commit_rule(const GenerationRequest& request);

}  // namespace rubato
