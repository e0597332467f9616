#include "launch/serving.h"

#include <chrono>

#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

ServedModel served_model(const Config& config,
                         const ModelConfig& model,
                         const Tokenizer& tokenizer) {
  ServedModel served;
  std::filesystem::path folder = std::filesystem::weakly_canonical(config.model.path);
  served.id = config.model.name.empty() ? folder.filename().string() : config.model.name;
  served.created = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  served.max_context = model.max_sequence_length;
  served.vocab_size = model.vocab_size;
  served.mask_id = model.mask_token_id;
  served.num_layers = model.n_layers;
  served.stop_ids = model.eos_token_ids;
  if (const auto end_of_turn = tokenizer.token_to_id("<|eot_id|>"))
    served.stop_ids.push_back(*end_of_turn);
  return served;
}

}  // namespace

Result<TextSide> load_text_side(const Config& config, const ModelConfig& model) {
  Result<Tokenizer> tokenizer =
      Tokenizer::load(std::filesystem::path(config.model.path) / "tokenizer.json");
  if (!tokenizer) return tokenizer.error();
  if (tokenizer->vocabulary_size() > model.vocab_size) {
    return Error{Code::kInvalidArgument,
                 concat(config.model.path,
                        "/tokenizer.json: has ids up to ",
                        tokenizer->vocabulary_size() - 1,
                        "; vocab_size in config.json is ",
                        model.vocab_size),
                 "vocab_size"};
  }
  const bool recognise = config.model.chat_template == "auto";
  Result<ChatTemplate> chat = recognise
                                  ? ChatTemplate::load(config.model.path, *tokenizer)
                                  : ChatTemplate::named(config.model.chat_template, *tokenizer);
  if (!chat && !recognise) return chat.error();
  if (!chat) log_warning(chat.error().message + "; chat requests will be refused");
  ServedModel served = served_model(config, model, *tokenizer);
  return TextSide{.model = std::move(served),
                  .tokenizer = std::move(tokenizer).value(),
                  .chat_template = chat ? std::optional(*chat) : std::nullopt,
                  .defaults = {.policy = policy_params(config.decoding),
                               .commit = commit_params(config.decoding),
                               .max_request_tokens = config.server.max_request_tokens}};
}

}  // namespace rubato
