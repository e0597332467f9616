// Graphs of reuse passes: what they do is what is enqueued, bit for bit.
#include "runtime/model/cuda/pass_graphs.h"

#include <algorithm>
#include <optional>

#include "parallel/local_group.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/runtime/model/cuda/model_pair.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

class CudaPassGraphs : public GpuTest {};

PassBucket bucket_of_rows(int rows) {
  PassBucket bucket;
  bucket.rows = rows;
  return bucket;
}

/// Adds what the host put into pinned memory to a number on the GPU: as a step's lists come by.
class Adder {
 public:
  Adder() : sum_({100}), added_({0}) {}

  void enqueue(Stream stream) {
    ++num_enqueued;
    GatherSums task;
    task.hidden = task.out = sum_.get();
    task.delta = added_.get();
    task.count = task.width = 1;
    gather_sums(task, Element::kFloat32, stream);
  }
  void put(float value, Stream stream) {
    float* host = host_.as<float>(1);
    *host = value;
    RUBATO_CUDA(cudaMemcpyAsync(added_.get(), host, sizeof(float), cudaMemcpyHostToDevice, stream));
  }
  float sum(Stream stream) {
    RUBATO_CUDA(cudaStreamSynchronize(stream));
    return sum_.read()[0];
  }

  int num_enqueued = 0;

 private:
  OnGpu<float> sum_, added_;
  Memory host_{Memory::Place::kPinned};
};

TEST_F(CudaPassGraphs, AreRecordedAtTheSecondPassAndReadTheInputsOfEach) {
  OwnedStream stream;
  SingleCommunicator alone;
  PassGraphs graphs(stream.get(), alone);
  Adder adder;
  float expected = 100;
  for (int pass = 1; pass <= 4; ++pass) {
    adder.put(static_cast<float>(pass), stream.get());
    graphs.run(bucket_of_rows(1), [&] { adder.enqueue(stream.get()); });
    expected += static_cast<float>(pass);
    EXPECT_EQ(adder.sum(stream.get()), expected) << "pass " << pass;
    EXPECT_EQ(adder.num_enqueued, std::min(pass, 2));
  }
  EXPECT_EQ(graphs.num_recorded(), 1);
  EXPECT_EQ(graphs.num_replayed(), 3);
}

TEST_F(CudaPassGraphs, TheLeastRecentlyUsedGo) {
  OwnedStream stream;
  SingleCommunicator alone;
  PassGraphs graphs(stream.get(), alone, /*most=*/2);
  Adder adder;
  const auto recorded_by = [&](int rows) {
    const std::int64_t before = graphs.num_recorded();
    graphs.run(bucket_of_rows(rows), [&] { adder.enqueue(stream.get()); });
    return graphs.num_recorded() - before;
  };
  for (const int rows : {1, 1, 2, 2, 1}) recorded_by(rows);
  EXPECT_EQ(graphs.num_recorded(), 2);
  recorded_by(3);                // in the place of 2
  EXPECT_EQ(recorded_by(1), 0);  // still there
  EXPECT_EQ(recorded_by(2), 0);  // the first time again, in the place of 3
  EXPECT_EQ(recorded_by(2), 1);
}

class CudaGraphs : public GpuTest {
 protected:
  /// head_rows: of the one with graphs.
  void start(Storage storage,
             const ModelConfig& config = rubato::testing::small_config(),
             int head_rows = Head::kRowsAtATime) {
    write_checkpoint(folder_.path(), rubato::testing::random_model(config, 3));
    communicator_ = group_.communicator(0);
    pair.emplace(folder_.path(), *communicator_, storage, head_rows);
    pair->fill_caches();
  }

  std::optional<ModelPair> pair;

 private:
  rubato::testing::TemporaryFolder folder_;
  LocalGroup group_{1};
  std::unique_ptr<Communicator> communicator_;
};

TEST_F(CudaGraphs, GiveTheBitsOfWhatIsEnqueued) {
  for (const Storage storage : {Storage::kFloat32, Storage::kBFloat16}) {
    start(storage);
    ASSERT_EQ(pair->without().model.graphs(), nullptr);
    int step = 1;
    // Passes of the same bucket, though of other sequences and rows, with and without a refresh.
    for (const auto& rows : std::vector<std::vector<int>>{
             {5, 7}, {5, 7}, {5, 7}, {3, 3}, {9, 4}, {5}, {6}, {7}, {1, 6}, {4, 4, 4, 4}}) {
      pair->expect_same(rows, step, step % 3 == 0 ? 1 : pair->num_layers());
      ++step;
    }
    EXPECT_GE(pair->with().model.graphs()->num_replayed(), 5);
  }
}

TEST_F(CudaGraphs, GiveTheBitsOfWhatTensorCoresAreGiven) {
  for (const int head_dim : {64, 128}) {
    start(Storage::kBFloat16,
          rubato::testing::small_config(
              /*n_layers=*/2, 2 * head_dim, /*n_heads=*/2, /*mlp=*/64, /*vocab=*/64));
    for (int step = 1; step <= 3; ++step)
      pair->expect_same(std::vector{5, 7}, step, step == 2 ? 1 : pair->num_layers());
    EXPECT_GE(pair->with().model.graphs()->num_replayed(), 1);
  }
}

#ifdef RUBATO_CUDA_EMULATED
TEST_F(CudaGraphs, APassOfWhichSomeCallCannotBeRecordedIsEnqueued) {
  constexpr int kKernel = 0, kMemset = 1, kProduct = 4;  // of a pass's first calls
  for (const int failing : {kKernel, kMemset, kProduct}) {
    start(Storage::kFloat32, rubato::testing::small_config(/*n_layers=*/1));
    emulation::fail_captured_call(failing);
    ::testing::internal::CaptureStderr();
    for (int step = 1; step <= 2; ++step)
      pair->expect_same(std::vector{5, 7}, step, pair->num_layers());
    emulation::fail_captured_call(-1);
    EXPECT_NE(::testing::internal::GetCapturedStderr().find("cannot be recorded"),
              std::string::npos);
    EXPECT_EQ(pair->with().model.graphs()->num_recorded(), 0) << "call " << failing;
  }
}

// (Matrix products of another number of rows may give other bits on a GPU.)
TEST_F(CudaGraphs, AHeadInPartsGivesTheSameCandidates) {
  start(Storage::kFloat32, rubato::testing::small_config(), /*head_rows=*/4);
  for (const auto& rows : std::vector<std::vector<int>>{{5, 7}, {3, 12}, {6}, {4, 4, 4, 4}})
    pair->expect_same(rows, static_cast<int>(rows.size()), pair->num_layers());
}
#endif

TEST_F(CudaGraphs, APassWritesNoRowsButItsOwn) {
  start(Storage::kBFloat16);
  for (int step = 1; step <= 4; ++step) {
    const auto sequences = pair->sequences_of(std::vector{5, 6}, step);
    const auto before = caches_of(pair->with());
    pair->with().model.reuse_pass(sequences);
    auto after = caches_of(pair->with());
    for (std::size_t part = 0; part < after.size(); ++part) {
      const std::size_t row_bytes = after[part].size() / ModelPair::kCacheTokens;
      for (const StepSequence& s : sequences) {
        for (const Position row : s.query.rows) {
          const auto at = static_cast<std::ptrdiff_t>((s.slot_begin + row) * row_bytes);
          EXPECT_FALSE(std::equal(before[part].begin() + at,
                                  before[part].begin() + at + row_bytes,
                                  after[part].begin() + at))
              << "its own row is written";
          std::copy_n(before[part].begin() + at, row_bytes, after[part].begin() + at);
        }
      }
    }
    EXPECT_EQ(after, before) << "step " << step;
    pair->run(pair->with(), sequences, pair->num_layers());
  }
  EXPECT_GT(pair->with().model.graphs()->num_replayed(), 0);
}

}  // namespace
}  // namespace rubato::cuda::testing
