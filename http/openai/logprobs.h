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

}  // namespace rubato
