// What a rank's slice of the logits says of each row (VocabularyStatistics has the meaning of the
// numbers).
#include <math.h>

#include "runtime/model/cuda/best_score.h"

namespace rubato::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;
constexpr float kNever = -1e30f;         // as logit_rules.cpp
constexpr double kMostGumbelNoise = 23;  // as noise.h
constexpr int kNumbers =
    8;  // of a group: max, sum; picked score, logit, id; unmasked score, logit, id

/// As noise.h: Philox4x32-10 and standard Gumbel noise.
__device__ double gumbel(std::uint64_t seed, int step, int position, int token) {
  std::uint32_t counter[4] = {static_cast<std::uint32_t>(token) >> 2,
                              static_cast<std::uint32_t>(position),
                              static_cast<std::uint32_t>(step),
                              0};
  std::uint32_t key[2] = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const std::uint32_t high0 = __umulhi(0xD2511F53u, counter[0]), low0 = 0xD2511F53u * counter[0];
    const std::uint32_t high1 = __umulhi(0xCD9E8D57u, counter[2]), low1 = 0xCD9E8D57u * counter[2];
    const std::uint32_t next[4] = {
        high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0};
    for (int i = 0; i < 4; ++i) counter[i] = next[i];
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  const std::uint32_t word = (token & 2) != 0 ? ((token & 1) != 0 ? counter[3] : counter[2])
                                              : ((token & 1) != 0 ? counter[1] : counter[0]);
  const double uniform = (word + 0.5) * 2.3283064365386962890625e-10;  // 2^-32
  return -log(-log(uniform));
}

/// A block: one group of one row's ids.
__global__ void __launch_bounds__(kThreads) group_kernel(Vocabulary task, double* groups) {
  const int size = task.width / task.groups, first = static_cast<int>(blockIdx.x) * size;
  const float* logits = task.logits + std::int64_t{blockIdx.y} * task.width;
  const RowQuestion question = task.questions[blockIdx.y];
  __shared__ Best bests[kWarps];
  __shared__ double sums[kWarps];
  Best best{0, -1}, unmasked{0, -1};
  for (int i = first + static_cast<int>(threadIdx.x); i < first + size; i += kThreads) {
    best.take(logits[i], i);
    if (task.first_id + i != task.mask_id) unmasked.take(logits[i], i);
  }
  best = block_best<kWarps>(best, bests);
  unmasked = block_best<kWarps>(unmasked, bests);
  double sum = 0;
  for (int i = first + static_cast<int>(threadIdx.x); i < first + size; i += kThreads)
    sum += expf(logits[i] - static_cast<float>(best.score));
  sum = block_sum<kWarps>(sum, sums);
  Best pick = best;
  if (question.temperature > 0) {
    const auto score_of = [&](int i) {
      return logits[i] / question.temperature +
             gumbel(question.seed, question.step, question.position, task.first_id + i);
    };
    // Noise takes long to make, and no noise could lift most ids over the best one's score.
    pick.score = score_of(best.id);
    const double least = pick.score;
    for (int i = first + static_cast<int>(threadIdx.x); i < first + size; i += kThreads) {
      if (logits[i] / question.temperature + kMostGumbelNoise >= least) pick.take(score_of(i), i);
    }
    pick = block_best<kWarps>(pick, bests);
  }
  if (threadIdx.x != 0) return;
  double* out = groups + (std::int64_t{blockIdx.y} * task.groups + blockIdx.x) * kNumbers;
  out[0] = best.score;
  out[1] = sum;
  out[2] = pick.score;
  out[3] = logits[pick.id];
  out[4] = pick.id;
  out[5] = unmasked.score;
  out[6] = unmasked.score;
  out[7] = unmasked.id;
}

/// Puts a row's groups together; a thread a row.
__global__ void row_kernel(Vocabulary task, const double* groups) {
  const int row = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (row >= task.rows) return;
  groups += std::int64_t{row} * task.groups * kNumbers;
  double* out = task.numbers + std::int64_t{row} * (6 + 2 * task.groups);
  for (int which = 0; which < 2; ++which) {  // the pick, then the best that is not MASK
    int best = -1;
    for (int group = 0; group < task.groups; ++group) {
      const double* numbers = groups + group * kNumbers + 2 + 3 * which;
      if (numbers[2] < 0) continue;
      if (best < 0 || numbers[0] > groups[best * kNumbers + 2 + 3 * which]) best = group;
    }
    const double* numbers = groups + best * kNumbers + 2 + 3 * which;
    out[3 * which] = best < 0 ? -INFINITY : numbers[0];
    out[3 * which + 1] = best < 0 ? 0 : numbers[1];
    out[3 * which + 2] = best < 0 ? -1 : task.first_id + numbers[2];
  }
  for (int group = 0; group < task.groups; ++group) {
    out[6 + 2 * group] = groups[group * kNumbers];
    out[7 + 2 * group] = groups[group * kNumbers + 1];
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
  return std::int64_t{1} * rows * groups * kNumbers;
}

void describe_vocabulary(const Vocabulary& task, Stream stream) {
  if (task.rows == 0) return;
  double* groups = task.scratch;
  const dim3 grid{static_cast<unsigned>(task.groups), static_cast<unsigned>(task.rows)};
  RUBATO_LAUNCH(group_kernel, grid, dim3{kThreads}, stream, task, groups);
  RUBATO_LAUNCH(row_kernel,
                dim3{blocks_for(task.rows, kThreads)},
                dim3{kThreads},
                stream,
                task,
                static_cast<const double*>(groups));
  check_launch("describe_vocabulary");
}

}  // namespace rubato::cuda
