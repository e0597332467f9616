#include "runtime/model/top_logits.h"

#include <algorithm>
#include <cmath>

namespace rubato {
namespace {

struct Entry {
  double logit;
  TokenId id;
};

constexpr auto kComesFirst = [](const Entry& a, const Entry& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
};

}  // namespace

void append_top(std::span<const float> logits,
                TokenId first_id,
                int count,
                std::vector<double>& out) {
  std::vector<Entry> best;  // a heap with the worst in front
  const auto most = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const Entry entry{logits[i], first_id + static_cast<TokenId>(i)};
    if (std::isnan(entry.logit)) continue;  // cannot be ordered
    if (best.size() == most) {
      if (!kComesFirst(entry, best.front())) continue;
      std::ranges::pop_heap(best, kComesFirst);
      best.pop_back();
    }
    best.push_back(entry);
    std::ranges::push_heap(best, kComesFirst);
  }
  std::ranges::sort(best, kComesFirst);
  best.resize(most, Entry{0, -1});
  for (const Entry& entry : best)
    out.insert(out.end(), {static_cast<double>(entry.id), entry.logit});
}

std::vector<TokenLogprob> merge_top(std::span<const double> gathered,
                                    std::size_t begin,
                                    std::size_t stride,
                                    int count,
                                    double most,
                                    double log_sum) {
  std::vector<Entry> all;
  for (; begin < gathered.size(); begin += stride) {
    for (int i = 0; i < count; ++i) {
      const auto id = static_cast<TokenId>(gathered[begin + 2 * i]);
      if (id >= 0) all.push_back({gathered[begin + 2 * i + 1], id});
    }
  }
  std::ranges::sort(all, kComesFirst);
  all.resize(std::min<std::size_t>(all.size(), count), Entry{0, -1});
  std::vector<TokenLogprob> top;
  for (const Entry& entry : all) top.push_back({entry.id, entry.logit - most - log_sum});
  return top;
}

}  // namespace rubato
