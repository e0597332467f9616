// What a rank's slice of the logits says of each row (VocabularyStatistics has the meaning of the
// numbers).
#include <cfloat>

#include "runtime/model/cuda/best_score.h"
#include "runtime/model/cuda/device_noise.h"

namespace rubato::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;
constexpr int kGroupBlocks = 5;   // an SM's, so that enough is read at once
constexpr float kNever = -1e30f;  // as logit_rules.cpp

/// What is said of a group's pick, and of its best id that is not MASK.
struct Scored {
  double score, logit, id;
};
constexpr int kScoredIds = 2;
constexpr int kScoredNumbers = sizeof(Scored) / sizeof(double);

/// Where a row's numbers go.
__device__ double* numbers_of(const Vocabulary& task, std::int64_t row) {
  return task.numbers + row * (kScoredIds * kScoredNumbers + 2 * task.groups);
}

/// What the groups of a row say of their picks (0) or of the others (1): [groups] in the scratch.
__device__ Scored* scored_by_group(const Vocabulary& task, std::int64_t row, int which) {
  return reinterpret_cast<Scored*>(task.scratch) + (row * kScoredIds + which) * task.groups;
}

/// A block's share of the logits: one group of one row's ids, as T rounds them. They are visited by
/// fours of which the first id is a multiple of 4, for these share their noise's random words.
template <class T>
class Group {
 public:
  __device__ explicit Group(const Vocabulary& task) {
    const int size = task.width / task.groups;
    logits_ = task.logits + std::int64_t{blockIdx.y} * task.width - task.first_id;
    begin_ = task.first_id + static_cast<int>(blockIdx.x) * size;
    end_ = begin_ + size;
    whole_ = (task.first_id | task.width | size) % 4 == 0;
  }

  __device__ bool has(int id) const { return id >= begin_ && id < end_; }
  __device__ float operator[](int id) const { return rounded<T>(logits_[id]); }

  /// Calls visit(first id, four logits), in ascending order in each thread. Logits of ids that the
  /// group does not have are -infinity.
  template <class Visit>
  __device__ __forceinline__ void visit_fours(const Visit& visit) const {
    for (int id = begin_ / 4 * 4 + 4 * static_cast<int>(threadIdx.x); id < end_; id += 4 * kThreads)
      visit(id, four(id));
  }

 private:
  __device__ __forceinline__ Pack<float, 4> four(int id) const {
    Pack<float, 4> logits;
    if (whole_) {
      logits = read_pack<4>(logits_ + id);
    } else {
      for (int i = 0; i < 4; ++i) logits.values[i] = has(id + i) ? logits_[id + i] : -INFINITY;
    }
    for (float& logit : logits.values) logit = rounded<T>(logit);
    return logits;
  }

  const float* logits_;  // by id
  int begin_, end_;
  bool whole_;  // fours are, and are aligned
};

/// Of some numbers the greatest, and the sum of exp(number - greatest) of the others: next to the
/// greatest one's 1 a float would lose what decides between rows that are nearly sure.
struct Exponentials {
  float greatest = -FLT_MAX;  // from which -infinity differs by a number
  float others = 0;

  __device__ void add(float number) {
    const float ratio = expf(-fabsf(number - greatest));
    others = others * (number > greatest ? ratio : 1.0f) + ratio;
    greatest = fmaxf(greatest, number);
  }

  /// The sum of exp(number - most) of all.
  __device__ double sum(float most) const { return (1.0 + others) * expf(greatest - most); }
};

/// The id with the best score under the row's temperature. best: that with the greatest logit.
template <class T>
__device__ Best<double> noised_pick(const Group<T>& group,
                                    const RowQuestion& row,
                                    const Best<float>& best) {
  Best<double> pick{best.score / row.temperature + gumbel_noise(row, best.id), best.id};
  NoiseReach reach(pick.score, row.temperature);
  group.visit_fours([&](int id, const Pack<float, 4>& logits) {
    const auto& z = logits.values;
    if (!reach.any(fmaxf(fmaxf(z[0], z[1]), fmaxf(z[2], z[3])))) return;
    const NoiseWords words = noise_words(row, id);
    for (int i = 0; i < 4; ++i) {
      if (!reach.with(z[i], words.of[i])) continue;
      pick.take(z[i] / row.temperature + gumbel_noise(words.of[i]), id + i);
      reach = NoiseReach(pick.score, row.temperature);
    }
  });
  __shared__ Best<double> shared[kWarps];
  return block_best<kWarps>(pick, shared);
}

/// A block: one group of one row's ids. They are read once, and again where noise is added.
template <class T>
__global__ void __launch_bounds__(kThreads, kGroupBlocks) group_kernel(Vocabulary task) {
  const Group<T> group(task);
  Exponentials exponentials;
  Best<float> unmasked{-INFINITY, -1};
  group.visit_fours([&](int id, const Pack<float, 4>& logits) {
    for (int i = 0; i < 4; ++i) {
      const float logit = logits.values[i];
      exponentials.add(logit);
      if (logit > unmasked.score && id + i != task.mask_id) unmasked = {logit, id + i};
    }
  });
  __shared__ Best<float> bests[kWarps];
  unmasked = block_best<kWarps>(unmasked, bests);
  Best<float> best = unmasked;
  if (group.has(task.mask_id)) best.take(group[task.mask_id], task.mask_id);
  __shared__ double sums[kWarps];
  const double sum = block_sum<kWarps>(exponentials.sum(best.score), sums);
  const RowQuestion& question = task.questions[blockIdx.y];
  Best<double> pick{best.score, best.id};
  if (question.temperature > 0 && best.id >= 0) pick = noised_pick(group, question, best);

  if (threadIdx.x != 0) return;
  double* numbers = numbers_of(task, blockIdx.y) + kScoredIds * kScoredNumbers + 2 * blockIdx.x;
  numbers[0] = best.score;
  numbers[1] = sum;
  scored_by_group(task, blockIdx.y, 0)[blockIdx.x] = {
      pick.score, pick.id < 0 ? 0.0 : group[pick.id], static_cast<double>(pick.id)};
  scored_by_group(task, blockIdx.y, 1)[blockIdx.x] = {
      unmasked.score, unmasked.score, static_cast<double>(unmasked.id)};
}

/// The best of the groups' picks, and of their best ids that are not MASK; a warp a row.
__global__ void __launch_bounds__(kLanes) row_kernel(Vocabulary task) {
  for (int which = 0; which < kScoredIds; ++which) {
    const Scored* groups = scored_by_group(task, blockIdx.x, which);
    Best<double> best{0, -1};  // its id: a group, which ascend as their ids do
    for (int group = static_cast<int>(threadIdx.x); group < task.groups; group += kLanes) {
      if (groups[group].id >= 0) best.take(groups[group].score, group);
    }
    best = warp_best(best);
    if (threadIdx.x != 0) continue;
    reinterpret_cast<Scored*>(numbers_of(task, blockIdx.x))[which] =
        best.id < 0 ? Scored{-INFINITY, 0, -1} : groups[best.id];
  }
}

__global__ void round_kernel(float* logits, std::int64_t count) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) logits[i] = rounded<Bf16>(logits[i]);
}

__global__ void change_kernel(float* logits, int width, const LogitChange* changes, int count) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= count) return;
  float& logit = logits[std::int64_t{changes[i].row} * width + changes[i].id];
  logit = changes[i].never != 0 ? kNever : logit + changes[i].bias;
}

}  // namespace

void finish_logits(float* logits,
                   std::int64_t count,
                   int width,
                   const LogitChange* changes,
                   int num_changes,
                   Element element,
                   Stream stream) {
  if (element == Element::kBFloat16 && count > 0) {
    RUBATO_LAUNCH(
        round_kernel, dim3{blocks_for(count, kThreads)}, dim3{kThreads}, stream, logits, count);
  }
  if (num_changes > 0) {
    RUBATO_LAUNCH(change_kernel,
                  dim3{blocks_for(num_changes, kThreads)},
                  dim3{kThreads},
                  stream,
                  logits,
                  width,
                  changes,
                  num_changes);
  }
  check_launch("finish_logits");
}

std::int64_t vocabulary_scratch_size(int rows, int groups) {
  return std::int64_t{1} * rows * kScoredIds * groups * kScoredNumbers;
}

void describe_vocabulary(const Vocabulary& task, Element element, Stream stream) {
  if (task.rows == 0) return;
  const auto rows = static_cast<unsigned>(task.rows);
  with_element(element, [&](auto zero) {
    RUBATO_LAUNCH(group_kernel<decltype(zero)>,
                  (dim3{static_cast<unsigned>(task.groups), rows}),
                  dim3{kThreads},
                  stream,
                  task);
  });
  RUBATO_LAUNCH(row_kernel, dim3{rows}, dim3{kLanes}, stream, task);
  check_launch("describe_vocabulary");
}

}  // namespace rubato::cuda
