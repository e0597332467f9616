#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "http/server.h"
#include "tests/http/fake_client.h"
#include "tests/http/raw_client.h"

namespace rubato::testing {

/// A server on a free port over an engine in the test's hands, with the embedded model's tokenizer.
class ServerTest : public ::testing::Test {
 public:
  ~ServerTest() override {
    if (server_) server_->stop();
  }

 protected:
  static constexpr const char* kCompletions = "/v1/completions";
  static constexpr const char* kChat = "/v1/chat/completions";

  ServerTest() {
    defaults_.policy.policy = find_policy("elastic");
    config_.port = 0;
    config_.threads = 2;
    config_.version = "1.2.3";
  }

  /// Starts the server with `config_` and nothing to serve yet; the port.
  std::uint16_t start_loading() {
    server_ = std::make_unique<Server>(config_);
    const Status status = server_->start();
    RUBATO_CHECK(status.ok());
    return server_->port();
  }

  /// Gives it the model.
  void serve() { server_->serve({{model_, tokenizer_, &chat_template_, defaults_}, engine_}); }

  /// Starts the server with `config_`; the port.
  std::uint16_t start() {
    const std::uint16_t port = start_loading();
    serve();
    return port;
  }

  std::vector<TokenId> encode(std::string_view text) const { return tokenizer_.encode(text); }

  static boost::json::object body_of(const Reply& reply) {
    return boost::json::parse(reply.body()).as_object();
  }
  static std::string error_message(const Reply& reply) {
    return std::string(body_of(reply).at("error").at("message").as_string());
  }

  const Tokenizer tokenizer_ =
      Tokenizer::load(RUBATO_SOURCE_DIR "/models/llada-tiny/tokenizer.json").value();
  const TokenId eos_ = *tokenizer_.token_to_id("<|endoftext|>");
  const ServedModel model_{"tiny", 0, 1 << 15, 576, 541, {eos_}};
  const ChatTemplate chat_template_ =
      ChatTemplate::load(RUBATO_SOURCE_DIR "/models/llada-tiny", tokenizer_).value();
  ServerConfig config_;
  GenerationDefaults defaults_;
  FakeClient engine_;
  std::unique_ptr<Server> server_;
};

}  // namespace rubato::testing
