// Where a pass cannot be recorded as a graph.
#include "runtime/model/cuda/owned_stream.h"
#include "runtime/model/cuda/pass_graphs.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/support/cuda_emulation/device.h"

namespace rubato::cuda::testing {
namespace {

TEST(CudaRefusedGraphs, PassesRunAsTheyAreEnqueuedAndAWarningSaysSoOnce) {
  OwnedStream stream;
  SingleCommunicator alone;
  PassGraphs graphs(stream.get(), alone);
  int done = 0;
  const auto enqueue = [&] { emulation::enqueue(stream.get(), [&done] { ++done; }); };
  emulation::refuse_captures(true);
  ::testing::internal::CaptureStderr();
  for (int pass = 1; pass <= 5; ++pass) {
    PassBucket bucket;
    bucket.rows = 1 + pass % 2;
    graphs.run(bucket, enqueue);
    emulation::wait(stream.get());
    EXPECT_EQ(done, pass);
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  emulation::refuse_captures(false);
  EXPECT_EQ(graphs.num_recorded(), 0);
  const auto first = log.find("cannot be recorded as a CUDA graph");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(log.find("cannot be recorded", first + 1), std::string::npos);
}

}  // namespace
}  // namespace rubato::cuda::testing
