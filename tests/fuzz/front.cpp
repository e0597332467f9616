#include "tests/fuzz/front.h"

#include <boost/asio/system_executor.hpp>

namespace rubato::fuzz {
namespace {

constexpr const char* kModelFolder = RUBATO_SOURCE_DIR "/models/llada-tiny";

ServedModel served(const Tokenizer& tokenizer) {
  const auto id_of = [&](const char* token) { return tokenizer.token_to_id(token).value(); };
  return {
      "tiny", 0, 512, 576, id_of("<|mdm_mask|>"), {id_of("<|endoftext|>"), id_of("<|eot_id|>")}};
}

GenerationDefaults default_params() {
  GenerationDefaults defaults;
  defaults.policy.policy = find_policy("elastic");
  defaults.max_request_tokens = 1024;
  return defaults;
}

ServerConfig server_config() {
  ServerConfig config;
  config.version = "0";
  config.max_body_bytes = 4096;
  config.max_header_bytes = 1024;
  config.max_header_fields = 12;
  config.cross_origin = CrossOrigin::parse("*").value();
  return config;
}

ServerConfig with_keys(ServerConfig config) {
  config.keys = AccessKeys::parse("key", "test").value();
  return config;
}

}  // namespace

GenerationUpdate InstantEngine::update_of(const GenerationRequest& request) const {
  GenerationUpdate update;
  update.finished = true;
  auto position = static_cast<Position>(request.prompt.size());
  for (int i = 0; i < request.max_tokens; ++i) {
    const TokenId id = (i * 37 + request.max_tokens) % tokenizer_.vocabulary_size();
    update.commits.push_back({position++, id});
    if (request.top_logprobs < 0) continue;
    CommitLogprobs said{-0.5, {}};
    for (int top = 0; top < request.top_logprobs; ++top) said.top.push_back({top, -1.0 - top});
    update.logprobs.push_back(std::move(said));
  }
  if (request.trace) update.trace.emplace();
  return update;
}

Result<GenerationHandle> InstantEngine::submit(GenerationRequest request, UpdateSink sink) {
  sink(update_of(request));
  return GenerationHandle(std::make_shared<std::atomic<bool>>(false));
}

Front::Front()
    : tokenizer(Tokenizer::load(std::string(kModelFolder) + "/tokenizer.json").value()),
      model(served(tokenizer)),
      engine(tokenizer),
      chat_template_(ChatTemplate::load(kModelFolder, tokenizer).value()),
      defaults_(default_params()),
      served_{{model, tokenizer, &chat_template_, defaults_}, engine},
      open_config_(server_config()),
      locked_config_(with_keys(server_config())),
      open_{open_config_, there_, active_requests_, metrics_, boost::asio::system_executor()},
      locked_{locked_config_, there_, active_requests_, metrics_, boost::asio::system_executor()} {}

Front& front() {
  static Front made;
  return made;
}

}  // namespace rubato::fuzz
