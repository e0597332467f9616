#pragma once

#include <boost/json/value.hpp>

#include "http/openai/request.h"

namespace rubato {

/// The `logprobs` of a choice for tokens [begin, end) of its answer, in the form of its route; null
/// if not requested or without such tokens. For an answer that is not complete, only tokens already
/// returned may be asked for.
boost::json::value make_logprobs(const ApiRequest& request,
                                 const Answer& answer,
                                 std::size_t begin,
                                 std::size_t end);

/// The log-probabilities of a step's commits, each in the form of a chat's, if requested. `answer`
/// has processed that step.
boost::json::array make_commit_logprobs(const StepTrace& step, const Answer& answer);

}  // namespace rubato
