#pragma once

#include <boost/json/object.hpp>
#include <vector>

#include "http/openai/request.h"

namespace rubato {

/// The parameters a generation runs with, named as in a request's `diffusion` object.
boost::json::object diffusion_parameters(const GenerationRequest& request);

/// What a step did, for `diffusion.trace`; `answer` has processed that step.
boost::json::object make_trace_entry(const StepTrace& step, const Answer& answer);

/// The fields of a complete choice, in chunks and whole answers alike: everything except its text.
/// `first_token`: the first token whose log-probabilities are included.
boost::json::object make_finished_choice(const ApiRequest& request,
                                         std::size_t choice,
                                         const Answer& answer,
                                         std::size_t first_token);

/// The tokens of all choices so far.
boost::json::object make_usage(const ApiRequest& request, const std::vector<Answer>& answers);

}  // namespace rubato
