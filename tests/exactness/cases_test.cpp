// What the cases bring about, so that the comparisons over them mean something.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "runtime/base/concat.h"
#include "tests/exactness/cases.h"
#include "tests/support/reference/decoder.h"

namespace rubato::testing {
namespace {

using reference::Decoded;
using reference::Step;
using ::testing::Each;
using ::testing::Ge;
using ::testing::Pair;

class Tally {
 public:
  void add(const ModelConfig& config, const GenerationRequest& request, const Decoded& decoded) {
    const auto masks = std::ranges::count(decoded.canvas, config.mask_token_id);
    const bool has_eos = std::ranges::count(decoded.canvas, config.eos_token_id) > 0;
    count(std::string(request.policy.policy->name), true);
    count(concat("commit rule ", int(request.commit.rule)), true);
    count("sampled", request.sampling.temperature > 0);
    count("most of the canvas given up for EOS", masks > request.max_tokens / 2);
    count("little of the canvas given up for EOS", masks > 0 && masks <= request.max_tokens / 4);
    count("EOS ignored", has_eos && request.ignore_eos);
    for (const Step& step : decoded.steps) add(request, step);
    if (!request.ignore_eos) follow_eos(config, decoded);
  }

  const std::map<std::string, int>& counts() const { return counts_; }

 private:
  void count(const std::string& what, bool seen) { counts_[what] += seen ? 1 : 0; }

  void add(const GenerationRequest& request, const Step& step) {
    const StepTrace& trace = step.trace;
    if (!trace.similarity.empty()) {
      if (trace.boundary) count(concat("refresh from layer ", *trace.boundary), true);
      const bool last_drifted = trace.similarity.back() < request.policy.gamma;
      count("no layer drifted", !trace.boundary && !last_drifted);
      count("the last layer drifted", !trace.boundary && last_drifted);
    }
    const std::set<Position> rows(step.rows.begin(), step.rows.end());
    count("a row is asked for twice", rows.size() < step.rows.size());
    count("some picked MASK", step.picked_mask > 0 && step.picked_mask < step.eligible);
    count("all picked MASK", step.picked_mask == step.eligible);
  }

  void follow_eos(const ModelConfig& config, const Decoded& decoded) {
    std::set<Position> written;
    std::optional<Position> first_eos;  // of the first step that commits one
    for (const Step& step : decoded.steps) {
      for (const Position p : step.trace.tracked)
        count("a MASK behind EOS is tracked", first_eos && p > *first_eos && !written.contains(p));
      const bool met_before = first_eos.has_value();
      for (const auto& [position, token] : step.trace.committed) {
        const bool is_eos = token == config.eos_token_id;
        count("a token behind EOS is committed with it",
              !met_before && first_eos && position > *first_eos);
        count("a second EOS comes before the first", met_before && is_eos);
        if (is_eos && !first_eos) {
          first_eos = position;
          count("tokens behind EOS stand already", written.upper_bound(position) != written.end());
        }
        written.insert(position);
      }
      if (met_before || !first_eos) continue;
      const std::vector<Commit>& committed = step.trace.committed;
      const Position last = committed.back().position;
      count("masks lie between EOS and a token committed with it",
            std::distance(written.find(*first_eos), written.find(last)) < last - *first_eos);
      count("two EOS are committed at once",
            std::ranges::count(committed, config.eos_token_id, &Commit::token) > 1);
    }
  }

  std::map<std::string, int> counts_;
};

TEST(Cases, BringAboutWhatDecodingMustGetRight) {
  Tally tally;
  for (const World& world : worlds()) {
    const reference::Network network(world.model);
    for (const GenerationRequest& request : world.requests)
      tally.add(world.model.config, request, decode(network, request));
  }
  EXPECT_THAT(tally.counts(), Each(Pair(::testing::_, Ge(3))));
}

}  // namespace
}  // namespace rubato::testing
