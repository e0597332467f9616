#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "http/openai/answer.h"
#include "http/openai/request.h"

namespace rubato {

/// What all chunks and answers to one request share.
struct ResponseHead {
  std::string id;
  std::int64_t created = 0;
  std::string model;
};

ResponseHead make_head(const ApiRequest& request, const ServedModel& model);

/// The parameters a generation runs with, named as in a request's `diffusion` object.
boost::json::object diffusion_parameters(const GenerationRequest& request);

/// A whole answer: chat.completion or text_completion.
boost::json::object make_response(const ResponseHead& head,
                                  const ApiRequest& request,
                                  const std::vector<Answer>& answers);

/// A stream's chunk with new text of a choice. The first of a chat choice carries its role.
boost::json::object make_text_chunk(const ResponseHead& head,
                                    const ApiRequest& request,
                                    std::size_t choice,
                                    const std::string& text,
                                    bool first);

/// A stream's chunk with a step's trace and what it wrote on the canvas.
boost::json::object make_trace_chunk(const ResponseHead& head,
                                     const ApiRequest& request,
                                     std::size_t choice,
                                     const StepTrace& trace);

/// A choice's last chunk: finish_reason and what the generation cost.
boost::json::object make_final_chunk(const ResponseHead& head,
                                     const ApiRequest& request,
                                     std::size_t choice,
                                     const Answer& answer);

boost::json::object make_usage_chunk(const ResponseHead& head,
                                     const ApiRequest& request,
                                     const std::vector<Answer>& answers);

/// The OpenAI error object of an error, and the HTTP status that goes with it.
boost::json::object make_error(const Error& error);
int http_status(const Error& error);

boost::json::object make_model(const ServedModel& model);

}  // namespace rubato
