#pragma once

#include <boost/json/value.hpp>

#include "http/openai/request.h"

namespace rubato {

/// The `logprobs` of a choice for the tokens [begin, end) of its answer, in the form of its route;
/// null where they were not asked for or there is no such token. With an answer that is not
/// finished, of tokens already given only.
boost::json::value make_logprobs(const ApiRequest& request,
                                 const Answer& answer,
                                 std::size_t begin,
                                 std::size_t end);

/// The log-probabilities of what a step committed, each in the form of a chat's, where they were
/// asked for. Of a step that `answer` was told of.
boost::json::array make_commit_logprobs(const StepTrace& step, const Answer& answer);

}  // namespace rubato
