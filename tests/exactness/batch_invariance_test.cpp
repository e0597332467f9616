// An answer is the one its request has alone, whatever else runs and whenever that comes and goes.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "runtime/base/concat.h"
#include "tests/exactness/cases.h"
#include "tests/exactness/comparison.h"
#include "tests/support/engine/local_engine.h"
#include "tests/support/temporary_folder.h"

namespace rubato::testing {
namespace {

constexpr std::size_t kRequests = 50;
constexpr std::uint64_t kSeeds = 2;

/// Requests that are served together, by their numbers, and when each of them comes.
struct Company {
  std::vector<std::size_t> members;
  std::vector<Arrival> arrivals;
};

/// All requests in a random order, cut into companies of random sizes. The first of each comes by
/// itself, the others in the middle of somebody's decoding.
std::vector<Company> random_companies(std::mt19937_64& random) {
  std::vector<std::size_t> order(kRequests);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, random);
  std::vector<Company> companies;
  for (auto next = order.begin(); next != order.end();) {
    const std::size_t size = 1 + random() % (order.end() - next);
    Company& company = companies.emplace_back();
    company.members.assign(next, next + size);
    company.arrivals.resize(size);
    for (std::size_t i = 1; i < size; ++i)
      company.arrivals[i] = {.after = random() % i, .updates = 1 + static_cast<int>(random() % 4)};
    next += size;
  }
  return companies;
}

class BatchInvarianceTest : public ::testing::TestWithParam<std::tuple<Storage, int>> {
 protected:
  BatchInvarianceTest() {
    const TestModel model = sharp_model(7);
    write_checkpoint(folder_.path(), model);
    std::mt19937_64 random(11);
    for (std::size_t i = 0; i < kRequests; ++i)
      requests_.push_back(random_request(random, model.config));
    engine_ = std::make_unique<LocalEngine>(
        folder_.path(), std::get<int>(GetParam()), std::get<Storage>(GetParam()));
  }

  std::vector<Generated> serve(const Company& company) {
    std::vector<GenerationRequest> requests;
    for (const std::size_t member : company.members) requests.push_back(requests_[member]);
    return engine_->generate_staggered(requests, company.arrivals, [this](std::size_t) {
      most_at_once_ = std::max(most_at_once_, engine_->coordinator().status().running);
    });
  }

  TemporaryFolder folder_;
  std::vector<GenerationRequest> requests_;
  std::unique_ptr<LocalEngine> engine_;
  int most_at_once_ = 0;
};

TEST_P(BatchInvarianceTest, AnAnswerIsTheOneThatItsRequestHasAlone) {
  std::vector<Generated> alone;
  for (const GenerationRequest& request : requests_)
    alone.push_back(engine_->generate({request}).front());
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    std::mt19937_64 random(seed);
    for (const Company& company : random_companies(random)) {
      const std::vector<Generated> found = serve(company);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const std::size_t member = company.members[i];
        expect_same(alone[member],
                    found[i],
                    concat("request ",
                           member,
                           " (",
                           requests_[member].policy.policy->name,
                           "), seed ",
                           seed,
                           ", among ",
                           found.size()));
      }
    }
  }
  EXPECT_GT(most_at_once_, 10);
}

INSTANTIATE_TEST_SUITE_P(
    All,
    BatchInvarianceTest,
    ::testing::Combine(::testing::Values(Storage::kFloat32, Storage::kBFloat16),
                       ::testing::Values(1, 2, 4)),
    [](const auto& tested) {
      return concat(std::get<Storage>(tested.param) == Storage::kFloat32 ? "Float32" : "BFloat16",
                    "Tp",
                    std::get<int>(tested.param));
    });

}  // namespace
}  // namespace rubato::testing
