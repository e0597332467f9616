// Run by mpirun; every rank runs every test, in the same order.
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "parallel/deadline.h"
#include "parallel/mpi.h"
#include "parallel/rank_watch.h"
#include "tests/parallel/collective_checks.h"

namespace rubato {
namespace {

using testing::HasSubstr;

/// What this rank needs to talk to the others.
struct Links {
  explicit Links(const Mesh& in = make_mesh(0).value()) : mesh(in) {}

  const Mesh mesh;
  Pulse pulse;
  RankWatch watch{mesh, kDefaultCollectiveDeadline, pulse};
  const std::unique_ptr<Communicator> communicator = make_mpi_communicator(mesh, watch);
  const std::unique_ptr<ControlChannel> control = make_mpi_control_channel(mesh, watch);
};

Mesh world() {
  return make_mesh(0).value();
}

TEST(MpiCommunicator, SumsInABalancedTreeOverRanksAtAnySize) {
  const Links links;
  // Around the size from which the ranks share the additions, and sizes that do not divide.
  for (const std::int64_t count : {1, 257, 16384, 16385, 16387, 100'003})
    test::expect_tree_sum(*links.communicator, count);
  test::expect_sum_independent_of_size(*links.communicator);
}

TEST(MpiCommunicator, GathersInRankOrder) {
  const Links links;
  test::expect_gather(*links.communicator);
}

TEST(MpiCommunicator, BroadcastsFromAnyRank) {
  const Links links;
  test::expect_broadcast(*links.communicator);
}

TEST(MpiControlChannel, CarriesFramesOfAnySizeInOrder) {
  const Links links;
  test::expect_frames_arrive(*links.control, world().tp_rank);
}

TEST(MpiControlChannel, RefusesAFrameOfAnotherStep) {
  const Links links;
  test::expect_wrong_step_is_refused(*links.control, world().tp_rank);
}

TEST(MpiControlChannel, MeetsOnceAllHaveCome) {
  const Links links;
  for (std::uint64_t step = 0; step < 3; ++step) links.control->meet(step);
  EXPECT_TRUE(links.pulse.on_time());
}

TEST(Mesh, CountsTheRanks) {
  const Mesh mesh = world();
  EXPECT_EQ(mesh.tp_size, mesh.world_size);
  EXPECT_EQ(mesh.tp_rank, mesh.world_rank);
  // All on this machine.
  EXPECT_EQ(mesh.local_size, mesh.world_size);
  EXPECT_EQ(mesh.local_rank, mesh.world_rank);
  EXPECT_TRUE(make_mesh(mesh.world_size).ok());
}

TEST(Mesh, OfAnotherSizeIsAnErrorThatSaysHowToStartIt) {
  const Result<Mesh> mesh = make_mesh(16);
  ASSERT_FALSE(mesh.ok());
  EXPECT_EQ(mesh.error().code, Code::kInvalidArgument);
  EXPECT_THAT(mesh.error().message, HasSubstr("engine.tp is 16"));
  EXPECT_THAT(mesh.error().message, HasSubstr(std::to_string(world().world_size) + " ranks run"));
  EXPECT_THAT(mesh.error().message, HasSubstr("mpirun -np 16"));
}

TEST(Mesh, OfSeveralReplicasPutsARanksNeighboursBesideIt) {
  const int ranks = world().world_size;
  if (ranks != 4) GTEST_SKIP() << "for four ranks";
  const Mesh mesh = make_mesh(2, 2).value();
  EXPECT_EQ(mesh.replica, mesh.world_rank / 2);
  EXPECT_EQ(mesh.tp_rank, mesh.world_rank % 2);
  EXPECT_EQ(mesh.leader_of(1), 2);
  EXPECT_EQ(make_mesh(0, 2).value().tp_size, 2);
  EXPECT_THAT(make_mesh(2, 3).error().message, HasSubstr("engine.replicas 3"));
}

TEST(MpiCommunicator, SumsWithinAReplicaOnly) {
  if (world().world_size != 4) GTEST_SKIP() << "for four ranks";
  const Mesh mesh = make_mesh(2, 2).value();
  const Links links(mesh);
  EXPECT_EQ(links.communicator->size(), 2);
  EXPECT_EQ(links.communicator->rank(), mesh.tp_rank);
  at::Tensor t = at::full({3}, static_cast<float>(1 + mesh.world_rank));
  links.communicator->all_reduce_sum(t);
  EXPECT_EQ(t[0].item<float>(), mesh.replica == 0 ? 1 + 2 : 3 + 4);
}

TEST(MpiControlChannel, TellsTheLeadersOwnReplicaOnly) {
  if (world().world_size != 4) GTEST_SKIP() << "for four ranks";
  const Mesh mesh = make_mesh(2, 2).value();
  const Links links(mesh);
  const auto mine = static_cast<std::uint8_t>(10 + mesh.replica);
  if (mesh.tp_rank == 0) return links.control->send({.kind = mine, .step = 1, .payload = {}});
  EXPECT_EQ(links.control->receive(1, /*while_idle=*/false)->kind, mine);
}

/// The next letter, waited for.
Letter receive(Mailbox& mailbox) {
  for (;;) {
    if (auto letter = mailbox.poll()) return *std::move(letter);
  }
}

TEST(MpiMailbox, CarriesMessagesOfAnySizeInOrderAndKnowsTheSender) {
  const auto mailbox = make_mpi_mailbox(kDefaultCollectiveDeadline);
  const Mesh mesh = world();
  const std::vector<std::size_t> sizes = {0, 1, 5000, 200'000, 3'000'000, 7};
  for (const std::size_t size : sizes)
    mailbox->post(0, std::vector<std::byte>(size, static_cast<std::byte>(mesh.world_rank)));
  std::vector<std::size_t> next(mesh.world_size, 0);
  for (std::size_t i = 0; mesh.world_rank == 0 && i < sizes.size() * mesh.world_size; ++i) {
    const Letter letter = receive(*mailbox);
    ASSERT_LT(next[letter.from], sizes.size());
    EXPECT_EQ(
        letter.content,
        std::vector<std::byte>(sizes[next[letter.from]++], static_cast<std::byte>(letter.from)));
  }
  mailbox->flush();
}

TEST(Texts, OfAllRanksComeInOrder) {
  const Mesh mesh = world();
  const auto text_of = [](int rank) {
    return std::string(rank * 1000, 'x') + std::to_string(rank);
  };
  const std::vector<std::string> texts = gather_texts(text_of(mesh.world_rank), "texts");
  ASSERT_EQ(std::ssize(texts), mesh.world_size);
  for (int rank = 0; rank < mesh.world_size; ++rank) EXPECT_EQ(texts[rank], text_of(rank));
}

Statement gamma_is(std::string value) {
  return {"", {{"gamma", std::move(value)}}};
}

TEST(Agreement, HoldsWhenAllRanksHaveTheSameFacts) {
  EXPECT_TRUE(agree("the configuration", gamma_is("0.9"), kDefaultCollectiveDeadline).ok());
}

TEST(Agreement, FailsOnEveryRankWhenOneDiffers) {
  const Mesh mesh = world();
  if (mesh.world_size == 1) GTEST_SKIP() << "one rank agrees with itself";
  const int last = mesh.world_size - 1;
  const Status status =
      agree("the configuration", gamma_is(mesh.world_rank == last ? "0.8" : "0.9"));
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("ranks differ in the configuration: gamma: 0.9"));
  EXPECT_THAT(status.error().message, HasSubstr("0.8 (rank " + std::to_string(last) + ")"));
}

TEST(Agreement, TakesStatementsOfDifferentSizes) {
  Statement mine = gamma_is("0.9");
  const int rank = world().world_rank;
  for (int i = 0; i < 100 * rank; ++i)
    mine.facts.push_back({"extra", std::string(100, 'x'), /*must_agree=*/false});
  EXPECT_TRUE(agree("statements", mine).ok());
}

TEST(Agreement, FailsOnEveryRankWithTheMessageOfTheOneThatFailed) {
  const Mesh mesh = world();
  if (mesh.world_size == 1) GTEST_SKIP() << "one rank fails for all";
  const int failing = mesh.world_size - 1;
  Statement mine = gamma_is("0.9");
  if (mesh.world_rank == failing) mine.failure = "model-3 is truncated";
  const Status status = agree("the model", mine);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "rank " + std::to_string(failing) + ": model-3 is truncated");
}

}  // namespace
}  // namespace rubato

int main(int argc, char** argv) {
  rubato::MpiSession session(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
