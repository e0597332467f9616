#include "http/openai/response.h"

#include <boost/json.hpp>
#include <chrono>
#include <random>

#include "http/openai/choice.h"

namespace rubato {

namespace json = boost::json;

ResponseHead make_head(const ApiRequest& request, const ServedModel& model) {
  static constexpr char kHex[] = "0123456789abcdef";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string id = request.chat ? "chatcmpl-" : "cmpl-";
  for (int i = 0; i < 24; ++i) id += kHex[random() & 15];
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::move(id), std::chrono::duration_cast<std::chrono::seconds>(now).count(), model.id};
}

json::object make_response(const ResponseHead& head,
                           const ApiRequest& request,
                           const std::vector<Answer>& answers) {
  json::array choices;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    json::object choice = make_finished_choice(request, i, answers[i], /*first_token=*/0);
    if (request.chat) {
      choice["message"] = {
          {"role", "assistant"}, {"content", answers[i].text()}, {"refusal", nullptr}};
    } else {
      choice["text"] = answers[i].text();
    }
    choices.push_back(std::move(choice));
  }
  return {{"id", head.id},
          {"object", request.chat ? "chat.completion" : "text_completion"},
          {"created", head.created},
          {"model", head.model},
          {"system_fingerprint", nullptr},
          {"choices", std::move(choices)},
          {"usage", make_usage(request, answers)}};
}

json::object make_model(const ServedModel& model, const GenerationDefaults& defaults) {
  json::array known;
  for (const Policy* policy : policies())
    known.push_back({{"name", policy->name},
                     {"summary", policy->summary},
                     {"by_block", policy->by_block},
                     {"tracks", policy->tracks()}});
  GenerationRequest silent;
  silent.policy = defaults.policy;
  silent.commit = defaults.commit;
  return {{"id", model.id},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "rubato"},
          {"max_model_len", model.max_context},
          {"diffusion",
           {{"num_layers", model.num_layers},
            {"mask_token_id", model.mask_id},
            {"policies", std::move(known)},
            {"defaults", diffusion_parameters(silent)}}}};
}

}  // namespace rubato
