#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "http/openai/request.h"

namespace rubato {

/// The fields that all chunks and answers to one request share.
struct ResponseHead {
  std::string id;
  std::int64_t created = 0;
  std::string model;
};

ResponseHead make_head(const ApiRequest& request, const ServedModel& model);

/// A whole answer: chat.completion or text_completion.
boost::json::object make_response(const ResponseHead& head,
                                  const ApiRequest& request,
                                  const std::vector<Answer>& answers);

boost::json::object make_model(const ServedModel& model, const GenerationDefaults& defaults);

}  // namespace rubato
