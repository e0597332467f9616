#include "runtime/model/cuda/pass_bucket.h"

#include <algorithm>
#include <array>
#include <bit>

#include "runtime/base/check.h"

namespace rubato::cuda {
namespace {

// Where rows cost no more than reading the weights does, a few too many are free.
constexpr std::array kRows = {16, 32, 48, 64, 96, 128, 192, 256, 384, kMostBucketRows};
constexpr int kTracked = 16;  // a tile of the sums' kernels

int up_to_power(int count) {
  return static_cast<int>(std::bit_ceil(static_cast<unsigned>(count)));
}

int whole(int count, int size) {
  return (count + size - 1) / size;
}

}  // namespace

std::optional<PassBucket> bucket_of(const PassLists& pass, const SumLists& sums) {
  const auto rows = std::ranges::lower_bound(kRows, pass.num_rows());
  if (pass.num_rows() == 0 || rows == kRows.end()) return std::nullopt;
  const int sequences = up_to_power(static_cast<int>(pass.parts.size()));
  PassBucket bucket;
  bucket.rows = *rows;
  // Each sequence's last tile may be of a single query.
  bucket.tiles = *rows / kTileQueries + sequences;
  bucket.splits = up_to_power(pass.most_splits);
  if (sums.jobs.empty()) return bucket;
  bucket.jobs = sequences;
  bucket.keys = kSplitKeys * up_to_power(whole(sums.most_keys, kSplitKeys));
  bucket.tracked = kTracked * whole(sums.most_tracked, kTracked);
  bucket.any_mass = sums.any_mass;
  bucket.any_heads = sums.any_heads;
  bucket.any_rows = sums.any_rows;
  return bucket;
}

void fill_up(const PassBucket& bucket, PassLists& pass, SumLists& sums) {
  RUBATO_CHECK(std::ssize(pass.tiles) <= bucket.tiles, pass.tiles.size(), " tiles");
  const auto rows = static_cast<std::size_t>(bucket.rows);
  // (A token of -1 is embedded as 0.)
  for (auto* list : {&pass.cache_rows, &pass.tokens}) list->resize(rows, -1);
  pass.positions.resize(rows, 0);
  for (auto* list : {&pass.eligible_rows, &pass.eligible_cache_rows, &pass.eligible_out})
    list->resize(rows, -1);
  pass.tiles.resize(bucket.tiles);
  pass.most_splits = bucket.splits;
  pass.partial_queries = bucket.splits == 1 ? 0 : std::int64_t{bucket.splits} * bucket.rows;
  sums.jobs.resize(bucket.jobs);
  sums.most_keys = bucket.keys;
  sums.most_tracked = bucket.tracked;
  sums.num_tracked = bucket.tracked == 0 ? 0 : bucket.rows;  // which they are some of
}

}  // namespace rubato::cuda
