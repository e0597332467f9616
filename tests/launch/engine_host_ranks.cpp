// Started by mpirun: the engine over real ranks, with the embedded model. Rank 0 prints what CTest
// looks for.
#include <algorithm>
#include <future>
#include <iostream>
#include <thread>

#include "launch/engine_host.h"
#include "runtime/base/check.h"
#include "runtime/base/concat.h"
#include "runtime/text/chat_template.h"

namespace rubato {
namespace {

std::vector<TokenId> question(const std::filesystem::path& model) {
  const auto tokenizer = Tokenizer::load(model / "tokenizer.json");
  RUBATO_CHECK(tokenizer.ok());
  const auto chat = ChatTemplate::load(model, *tokenizer);
  RUBATO_CHECK(chat.ok());
  const std::vector<ChatMessage> messages = {
      {"user", "Tom has 3 apples and buys 4 more. How many apples does he have?"}};
  return chat->encode(*tokenizer, messages);
}

/// One generation from submission to its last update: the ids committed, in canvas order.
std::vector<TokenId> generate(GenerationClient& client, const Config& config) {
  GenerationRequest request;
  request.prompt = question(config.model.path);
  request.max_tokens = 64;
  request.policy = policy_params(config.decoding);
  request.commit = commit_params(config.decoding);
  std::vector<Commit> commits;
  std::promise<void> ended;
  const auto handle = client.submit(request, [&](const GenerationUpdate& update) {
    commits.insert(commits.end(), update.commits.begin(), update.commits.end());
    if (update.finished || update.error) ended.set_value();
  });
  RUBATO_CHECK(handle.ok());
  ended.get_future().wait();
  std::ranges::sort(commits, {}, &Commit::position);
  std::vector<TokenId> ids;
  for (const Commit& commit : commits) ids.push_back(commit.token);
  return ids;
}

/// Two generations for each replica at once, all of the same question, must come out alike.
void drive(EngineHost& host, const Config& config) {
  GenerationClient& client = *host.client();
  std::vector<std::future<std::vector<TokenId>>> answers;
  for (int i = 0; i < 2 * config.engine.replicas; ++i)
    answers.push_back(std::async(std::launch::async, [&] { return generate(client, config); }));
  const std::vector<TokenId> first = answers[0].get();
  RUBATO_CHECK(!first.empty());
  for (std::size_t i = 1; i < answers.size(); ++i) RUBATO_CHECK(answers[i].get() == first);
  std::string line = "ids";
  for (const TokenId id : first) line += concat(' ', id);
  std::cout << line << std::endl;
  host.shut_down(/*finish_running=*/true);
}

int run_rank(const Config& config) {
  const auto mesh = make_mesh(config.engine.tp, config.engine.replicas);
  RUBATO_CHECK(mesh.ok());
  const auto host = EngineHost::load(config, *mesh);
  if (!host) {
    if (mesh->world_rank == 0) std::cout << "error: " << host.error().message << std::endl;
    return 0;
  }
  std::thread driver;
  if ((*host)->client() != nullptr) driver = std::thread([&] { drive(**host, config); });
  const Status status = (*host)->run();
  RUBATO_CHECK(status.ok(), status.ok() ? "" : status.error().message);
  if (driver.joinable()) driver.join();
  return 0;
}

}  // namespace
}  // namespace rubato

int main(int argc, char** argv) {
  const rubato::MpiSession session(&argc, &argv);
  rubato::Config config;
  config.engine.replicas = argc > 1 ? std::stoi(argv[1]) : 1;
  config.model.path = argc > 2 ? argv[2] : RUBATO_SOURCE_DIR "/models/llada-tiny";
  return rubato::run_rank(config);
}
