// Collectives on device memory, over the emulation's GPUs and its NCCL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <random>

#include "parallel/cuda/cuda_check.h"
#include "parallel/cuda/nccl_communicator.h"
#include "runtime/base/exit_status.h"
#include "runtime/model/cuda/owned_stream.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/support/cuda_emulation/gpu_ranks.h"

namespace rubato {
namespace {

using cuda::OwnedStream;
using cuda::testing::OnGpu;
using emulation::Gpus;
using emulation::run_gpu_ranks;

std::unique_ptr<DeviceCommunicator> make(Communicator& host) {
  return make_device_communicator(host, /*device=*/0, StepDeadlines{});
}

/// Of very different sizes, so that the order of additions shows in the last bits.
std::vector<float> values_of(int rank, std::int64_t count) {
  std::mt19937_64 random(rank);
  std::uniform_real_distribution<float> exponent(-12, 12), sign(-1, 1);
  std::vector<float> values(count);
  for (float& value : values) value = std::exp2(exponent(random)) * sign(random);
  return values;
}

std::vector<float> tree_sum(int ranks, std::int64_t count) {
  std::vector<float> parts, sum(count);
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<float> values = values_of(rank, count);
    parts.insert(parts.end(), values.begin(), values.end());
  }
  detail::tree_sum(parts.data(), ranks, count, sum.data(), count);
  return sum;
}

/// What a test prints on stderr.
std::string log_of(const std::function<void()>& run) {
  ::testing::internal::CaptureStderr();
  run();
  return ::testing::internal::GetCapturedStderr();
}

TEST(DeviceCommunicator, OfOneRankExchangesNothing) {
  run_gpu_ranks(1, Gpus::kOneEach, [](Communicator& host) {
    const auto communicator = make(host);
    EXPECT_NE(dynamic_cast<SingleDeviceCommunicator*>(communicator.get()), nullptr);
  });
}

TEST(DeviceCommunicator, IsNcclWhereEveryRankHasAGpuOfItsOwn) {
  const std::string log = log_of([] {
    run_gpu_ranks(3, Gpus::kOneEach, [](Communicator& host) {
      const auto communicator = make(host);
      EXPECT_EQ(communicator->size(), 3);
      EXPECT_TRUE(communicator->can_be_captured());
      EXPECT_EQ(dynamic_cast<StagedCommunicator*>(communicator.get()), nullptr);
    });
  });
  EXPECT_EQ(log, "");
}

TEST(DeviceCommunicator, GoesThroughTheHostWhereRanksShareAGpuAndOneWarningSaysSo) {
  const std::string log = log_of([] {
    run_gpu_ranks(3, Gpus::kOneForAll, [](Communicator& host) {
      const auto communicator = make(host);
      EXPECT_EQ(communicator->size(), 3);
      EXPECT_FALSE(communicator->can_be_captured());
      EXPECT_NE(dynamic_cast<StagedCommunicator*>(communicator.get()), nullptr);
    });
  });
  const std::string warning = "several of the 3 ranks share a GPU";
  const auto first = log.find(warning);
  EXPECT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find(warning, first + 1), std::string::npos);
}

class DeviceCollectives : public ::testing::TestWithParam<Gpus> {};

TEST_P(DeviceCollectives, SumInTheTreesOrder) {
  for (const std::int64_t count : {1, 257, 5000}) {
    run_gpu_ranks(3, GetParam(), [count](Communicator& host) {
      const auto communicator = make(host);
      const OwnedStream stream;
      OnGpu<float> values(values_of(host.rank(), count));
      communicator->all_reduce_sum(values.get(), count, stream.get());
      communicator->wait(stream.get());
      EXPECT_EQ(values.read(), tree_sum(3, count));
    });
  }
}

TEST_P(DeviceCollectives, GatherInRankOrder) {
  run_gpu_ranks(3, GetParam(), [](Communicator& host) {
    const auto communicator = make(host);
    const OwnedStream stream;
    OnGpu<int> mine({10 * host.rank(), 10 * host.rank() + 1}), all(std::vector<int>(6));
    communicator->all_gather(mine.get(), all.get(), 2 * sizeof(int), stream.get());
    communicator->wait(stream.get());
    EXPECT_EQ(all.read(), (std::vector{0, 1, 10, 11, 20, 21}));
  });
}

INSTANTIATE_TEST_SUITE_P(Nccl, DeviceCollectives, ::testing::Values(Gpus::kOneEach));
INSTANTIATE_TEST_SUITE_P(Host, DeviceCollectives, ::testing::Values(Gpus::kOneForAll));

/// Of two ranks one waits for a sum, in the step after the first, say, to which the other does not
/// come.
void wait_in_vain(const StepDeadlines& deadlines, bool first_step_done) {
  run_gpu_ranks(2, Gpus::kOneEach, [&](Communicator& host) {
    const auto communicator = make_device_communicator(host, /*device=*/0, deadlines);
    const OwnedStream stream;
    OnGpu<float> values(values_of(0, 8));
    if (first_step_done) communicator->step_done();
    std::promise<void> never;
    if (host.rank() == 1) return never.get_future().wait();
    communicator->all_reduce_sum(values.get(), 8, stream.get());
    communicator->wait(stream.get());
  });
}

TEST(NcclDeadline, IsAnotherUntilTheFirstStepIsDone) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  using std::chrono_literals::operator""h, std::chrono_literals::operator""ms;
  const auto missed = ::testing::ExitedWithCode(kMissedDeadline);
  EXPECT_EXIT(wait_in_vain({.first = 200ms, .later = 1h}, false),
              missed,
              "rank 0 waited 0.2 s in the GPU's collectives");
  EXPECT_EXIT(wait_in_vain({.first = 1h, .later = 100ms}, true),
              missed,
              "rank 0 waited 0.1 s in the GPU's collectives");
}

TEST(NcclStandIn, EndsTheProcessWhereRanksCallForDifferentThings) {
  const auto sum_of_different_sizes = [] {
    run_gpu_ranks(2, Gpus::kOneEach, [](Communicator& host) {
      const auto communicator = make(host);
      const OwnedStream stream;
      OnGpu<float> values(values_of(0, 8));
      communicator->all_reduce_sum(values.get(), 4 + host.rank(), stream.get());
      communicator->wait(stream.get());
    });
  };
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(sum_of_different_sizes(),
               "rank 0 calls an all-reduce of 16 bytes, rank 1 an all-reduce of 20");
}

}  // namespace
}  // namespace rubato
