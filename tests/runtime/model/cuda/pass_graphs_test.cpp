// Graphs of reuse passes: what they do is what is enqueued, bit for bit.
#include "runtime/model/cuda/pass_graphs.h"

#include <numeric>

#include "parallel/local_group.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/runtime/model/cuda/make_cuda_model.h"
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
  PassGraphs graphs(stream.get());
  Adder adder;
  float expected = 100;
  for (int pass = 1; pass <= 4; ++pass) {
    adder.put(static_cast<float>(pass), stream.get());
    graphs.run(bucket_of_rows(1), 7, [&] { adder.enqueue(stream.get()); });
    expected += static_cast<float>(pass);
    EXPECT_EQ(adder.sum(stream.get()), expected) << "pass " << pass;
    EXPECT_EQ(adder.num_enqueued, std::min(pass, 2));
  }
  EXPECT_EQ(graphs.num_recorded(), 1);
  EXPECT_EQ(graphs.num_replayed(), 3);
}

TEST_F(CudaPassGraphs, AreForgottenWhenMemoryMoves) {
  OwnedStream stream;
  PassGraphs graphs(stream.get());
  Adder adder;
  for (const std::uint64_t moves : {1, 1, 2, 2})
    graphs.run(bucket_of_rows(1), moves, [&] { adder.enqueue(stream.get()); });
  EXPECT_EQ(adder.num_enqueued, 4);
  EXPECT_EQ(graphs.num_recorded(), 2);
  EXPECT_EQ(adder.sum(stream.get()), 100);
}

TEST_F(CudaPassGraphs, TheLeastRecentlyUsedGo) {
  OwnedStream stream;
  PassGraphs graphs(stream.get(), /*most=*/2);
  Adder adder;
  const auto recorded_by = [&](int rows) {
    const std::int64_t before = graphs.num_recorded();
    graphs.run(bucket_of_rows(rows), 0, [&] { adder.enqueue(stream.get()); });
    return graphs.num_recorded() - before;
  };
  for (const int rows : {1, 1, 2, 2, 1}) recorded_by(rows);
  EXPECT_EQ(graphs.num_recorded(), 2);
  recorded_by(3);                // in the place of 2
  EXPECT_EQ(recorded_by(1), 0);  // still there
  EXPECT_EQ(recorded_by(2), 0);  // the first time again, in the place of 3
  EXPECT_EQ(recorded_by(2), 1);
}

struct Said {
  std::vector<std::vector<double>> similarity;
  std::vector<std::vector<Candidate>> candidates;
  std::vector<std::vector<float>> mass;
};

/// Calls visit(data, bytes) for each part of a model's caches.
void for_each_cache(Rank& rank, auto&& visit) {
  const CacheShape& shape = rank.cache.shape();
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    for (const CacheLayer& part :
         {rank.cache.x(layer), rank.cache.q(layer), rank.cache.k(layer), rank.cache.v(layer)})
      visit(part.data, shape.capacity * part.width * (shape.bfloat16 ? 2 : 4));
  }
  RUBATO_CUDA(cudaStreamSynchronize(rank.stream.get()));
}

std::vector<std::vector<std::byte>> caches_of(Rank& rank) {
  std::vector<std::vector<std::byte>> all;
  for_each_cache(rank, [&](const void* data, std::int64_t size) {
    auto& bytes = all.emplace_back(size);
    RUBATO_CUDA(
        cudaMemcpyAsync(bytes.data(), data, size, cudaMemcpyDeviceToHost, rank.stream.get()));
  });
  return all;
}

/// Two models of the same weights, of which one uses graphs, or which differ otherwise.
class CudaGraphs : public GpuTest {
 protected:
  static constexpr int kCanvas = 150, kMostSequences = 4;
  static constexpr std::int64_t kCacheTokens = kMostSequences * kCanvas + 50;
  static constexpr TokenId kMaskId = 62;

  /// head_rows: of the one with graphs.
  void start(Storage storage,
             const ModelConfig& config = rubato::testing::small_config(),
             int head_rows = Head::kRowsAtATime) {
    write_checkpoint(folder_.path(), rubato::testing::random_model(config, 3));
    const auto checkpoint = Checkpoint::open(folder_.path());
    const auto shape = make_shape(checkpoint->config(), 0, 1, storage);
    num_layers_ = shape->num_layers;
    communicator_ = group_.communicator(0);
    const auto make = [&](bool graphs, int rows) {
      return std::make_unique<Rank>(
          *shape, *checkpoint, *communicator_, kCacheTokens, graphs, rows);
    };
    with_ = make(true, head_rows);
    without_ = make(false, Head::kRowsAtATime);
  }

  /// Of `rows` rows each, whose contents differ from step to step.
  std::vector<StepSequence> sequences_of(std::span<const int> rows, int step) {
    canvases_.assign(rows.size(), std::vector<TokenId>(kCanvas));
    std::vector<StepSequence> sequences;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (int position = 0; position < kCanvas; ++position)
        canvases_[i][position] = (position * 7 + static_cast<int>(i) * 5 + step * 11) % 60;
      StepSequence s;
      s.slot_begin = static_cast<std::int64_t>(i) * kCanvas;
      s.canvas = canvases_[i];
      s.track = true;
      s.step = step;
      for (int row = 0; row < rows[i]; ++row) s.query.rows.push_back((row * 13 + step) % kCanvas);
      s.query.num_tracked = rows[i] > 2 ? 2 : 0;
      s.query.refresh = s.query.num_tracked > 0 ? Refresh::kByDrift : Refresh::kNone;
      s.query.eligible.assign(s.query.rows.begin() + s.query.num_tracked, s.query.rows.end());
      std::ranges::sort(s.query.eligible);
      sequences.push_back(std::move(s));
    }
    return sequences;
  }

  Said run(Rank& rank, std::span<const StepSequence> sequences, int boundary) const {
    const std::vector<int> boundaries(sequences.size(), boundary);
    Said said;
    rank.model.reuse_pass(sequences);
    said.similarity = rank.model.reduce(sequences);
    rank.model.refresh(sequences, boundaries);
    rank.model.compute_logits(sequences);
    said.candidates = rank.model.candidates(sequences, kMaskId);
    for (int i = 0; i < std::ssize(sequences); ++i) {
      const auto mass = rank.model.attention_mass(i);
      said.mass.emplace_back(mass.begin(), mass.end());
    }
    return said;
  }

  void fill_caches() {
    std::vector<StepSequence> sequences =
        sequences_of(std::vector<int>(kMostSequences, 3), /*step=*/0);
    for (StepSequence& s : sequences) s.query.refresh = Refresh::kFull;
    for (Rank* rank : {with_.get(), without_.get()}) {
      for_each_cache(*rank, [&](void* data, std::int64_t size) {
        RUBATO_CUDA(cudaMemsetAsync(data, 0, size, rank->stream.get()));
      });
      run(*rank, sequences, 0);
    }
  }

  /// A step on both; the caches as well.
  void expect_same(std::span<const int> rows, int step, int boundary) {
    const auto sequences = sequences_of(rows, step);
    const Said a = run(*with_, sequences, boundary), b = run(*without_, sequences, boundary);
    EXPECT_EQ(a.similarity, b.similarity) << "step " << step;
    EXPECT_EQ(a.mass, b.mass) << "step " << step;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      ASSERT_EQ(a.candidates[i].size(), b.candidates[i].size());
      for (std::size_t j = 0; j < a.candidates[i].size(); ++j) {
        EXPECT_EQ(a.candidates[i][j].position, b.candidates[i][j].position);
        EXPECT_EQ(a.candidates[i][j].token, b.candidates[i][j].token);
        EXPECT_EQ(a.candidates[i][j].logprob, b.candidates[i][j].logprob);
      }
    }
    EXPECT_EQ(caches_of(*with_), caches_of(*without_)) << "step " << step;
  }

  std::unique_ptr<Rank> with_, without_;
  int num_layers_ = 0;

 private:
  rubato::testing::TemporaryFolder folder_;
  LocalGroup group_{1};
  std::unique_ptr<Communicator> communicator_;
  std::vector<std::vector<TokenId>> canvases_;
};

TEST_F(CudaGraphs, GiveTheBitsOfWhatIsEnqueued) {
  for (const Storage storage : {Storage::kFloat32, Storage::kBFloat16}) {
    start(storage);
    fill_caches();
    ASSERT_EQ(without_->model.graphs(), nullptr);
    int step = 1;
    // Passes of the same bucket, though of other sequences and rows, with and without a refresh.
    for (const auto& rows : std::vector<std::vector<int>>{
             {5, 7}, {5, 7}, {5, 7}, {3, 3}, {9, 4}, {5}, {6}, {7}, {1, 6}, {4, 4, 4, 4}}) {
      expect_same(rows, step, step % 3 == 0 ? 1 : num_layers_);
      ++step;
    }
    EXPECT_GE(with_->model.graphs()->num_replayed(), 5);
  }
}

TEST_F(CudaGraphs, GiveTheBitsOfWhatTensorCoresAreGiven) {
  for (const int head_dim : {64, 128}) {
    start(Storage::kBFloat16,
          rubato::testing::small_config(
              /*n_layers=*/2, 2 * head_dim, /*n_heads=*/2, /*mlp=*/64, /*vocab=*/64));
    fill_caches();
    for (int step = 1; step <= 3; ++step)
      expect_same(std::vector{5, 7}, step, step == 2 ? 1 : num_layers_);
    EXPECT_GE(with_->model.graphs()->num_replayed(), 1);
  }
}

// (Matrix products of another number of rows may give other bits on a GPU.)
#ifdef RUBATO_CUDA_EMULATED
TEST_F(CudaGraphs, AHeadInPartsGivesTheSameCandidates) {
  start(Storage::kFloat32, rubato::testing::small_config(), /*head_rows=*/4);
  fill_caches();
  for (const auto& rows : std::vector<std::vector<int>>{{5, 7}, {3, 12}, {6}, {4, 4, 4, 4}})
    expect_same(rows, static_cast<int>(rows.size()), num_layers_);
}
#endif

TEST_F(CudaGraphs, APassWritesNoRowsButItsOwn) {
  start(Storage::kBFloat16);
  fill_caches();
  for (int step = 1; step <= 4; ++step) {
    const auto sequences = sequences_of(std::vector{5, 6}, step);
    const auto before = caches_of(*with_);
    with_->model.reuse_pass(sequences);
    auto after = caches_of(*with_);
    for (std::size_t part = 0; part < after.size(); ++part) {
      const std::size_t row_bytes = after[part].size() / kCacheTokens;
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
    run(*with_, sequences, num_layers_);
  }
  EXPECT_GT(with_->model.graphs()->num_replayed(), 0);
}

}  // namespace
}  // namespace rubato::cuda::testing
