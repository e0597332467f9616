#include "runtime/engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/engine/requests.h"

namespace rubato::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

void enqueue(Scheduler& scheduler, SequenceId id, int length) {
  scheduler.enqueue(spec_of(id, request_of(length - 1, 1)));
}

std::vector<SequenceId> admit(Scheduler& scheduler) {
  std::vector<SequenceId> ids;
  for (const SequenceSpec& spec : scheduler.admit()) ids.push_back(spec.id);
  return ids;
}

TEST(Scheduler, AdmitsInOrderOfArrivalIntoSlotsOfTheirOwn) {
  Scheduler scheduler({.cache_tokens = 100, .max_sequences = 8});
  for (const SequenceId id : {1, 2, 3}) enqueue(scheduler, id, 30);
  const std::vector<SequenceSpec> admitted = scheduler.admit();
  ASSERT_EQ(admitted.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(admitted[i].id, static_cast<SequenceId>(i + 1));
    EXPECT_EQ(admitted[i].slot_begin, 30 * i);
  }
  EXPECT_THAT(scheduler.running(), ElementsAre(1, 2, 3));
  EXPECT_EQ(scheduler.slots().used(), 90);
  EXPECT_EQ(scheduler.num_waiting(), 0);
}

TEST(Scheduler, AdmitsNoMoreThanItsLimit) {
  Scheduler scheduler({.cache_tokens = 100, .max_sequences = 2});
  for (const SequenceId id : {1, 2, 3}) enqueue(scheduler, id, 10);
  EXPECT_THAT(admit(scheduler), ElementsAre(1, 2));
  EXPECT_THAT(admit(scheduler), IsEmpty());
  EXPECT_TRUE(scheduler.remove(1));
  EXPECT_THAT(admit(scheduler), ElementsAre(3));
  EXPECT_THAT(scheduler.running(), ElementsAre(2, 3));
}

TEST(Scheduler, LetsNobodyOvertakeTheFirstInTheQueue) {
  Scheduler scheduler({.cache_tokens = 100, .max_sequences = 8});
  enqueue(scheduler, 1, 60);
  enqueue(scheduler, 2, 50);
  enqueue(scheduler, 3, 10);
  EXPECT_THAT(admit(scheduler), ElementsAre(1));
  EXPECT_EQ(scheduler.num_waiting(), 2);
  scheduler.remove(1);
  EXPECT_THAT(admit(scheduler), ElementsAre(2, 3));
}

TEST(Scheduler, WaitsForAContiguousSlot) {
  Scheduler scheduler({.cache_tokens = 90, .max_sequences = 8});
  for (const SequenceId id : {1, 2, 3}) enqueue(scheduler, id, 30);
  scheduler.admit();
  scheduler.remove(1);
  scheduler.remove(3);
  enqueue(scheduler, 4, 60);  // as much is free, but in two pieces
  EXPECT_THAT(admit(scheduler), IsEmpty());
  scheduler.remove(2);
  EXPECT_THAT(admit(scheduler), ElementsAre(4));
}

TEST(Scheduler, RemovesWhoStillWaits) {
  Scheduler scheduler({.cache_tokens = 10, .max_sequences = 8});
  for (const SequenceId id : {1, 2, 3}) enqueue(scheduler, id, 10);
  scheduler.admit();
  EXPECT_FALSE(scheduler.remove(2));
  EXPECT_EQ(scheduler.num_waiting(), 1);
  EXPECT_TRUE(scheduler.remove(1));
  EXPECT_THAT(admit(scheduler), ElementsAre(3));
}

TEST(Scheduler, RemovingSomebodyUnknownChangesNothing) {
  Scheduler scheduler({.cache_tokens = 10, .max_sequences = 8});
  enqueue(scheduler, 1, 10);
  scheduler.admit();
  EXPECT_FALSE(scheduler.remove(7));
  EXPECT_THAT(scheduler.running(), ElementsAre(1));
  EXPECT_EQ(scheduler.slots().used(), 10);
}

}  // namespace
}  // namespace rubato::testing
