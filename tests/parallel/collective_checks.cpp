#include "tests/parallel/collective_checks.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace rubato::test {
namespace {

std::vector<float> random_part(int part, std::int64_t count) {
  std::mt19937 random(static_cast<unsigned>(part) * 977 + static_cast<unsigned>(count));
  std::uniform_real_distribution<float> mantissa(-1, 1);
  std::uniform_int_distribution<int> exponent(-12, 12);
  std::vector<float> values(count);
  for (float& value : values) value = std::ldexp(mantissa(random), exponent(random));
  return values;
}

/// The sum of parts [begin, end) of element i as the interface promises it.
float tree(const std::vector<std::vector<float>>& parts, int begin, int end, std::int64_t i) {
  if (end - begin == 1) return parts[begin][i];
  const int left = static_cast<int>(std::bit_floor(static_cast<unsigned>(end - begin - 1)));
  return tree(parts, begin, begin + left, i) + tree(parts, begin + left, end, i);
}

std::vector<std::vector<float>> random_parts(int num_parts, std::int64_t count) {
  std::vector<std::vector<float>> parts;
  for (int part = 0; part < num_parts; ++part) parts.push_back(random_part(part, count));
  return parts;
}

/// How many elements of `t` differ in any bit from `expected(i)`.
template <class Expected>
int num_different(const at::Tensor& t, Expected expected) {
  const std::span<const float> found(t.data_ptr<float>(), t.numel());
  int different = 0;
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    different +=
        std::bit_cast<std::uint32_t>(found[i]) != std::bit_cast<std::uint32_t>(expected(i)) ? 1 : 0;
  }
  return different;
}

Frame frame_of(std::uint64_t step, std::size_t size) {
  Frame frame{static_cast<std::uint8_t>(step % 200), step, std::vector<std::byte>(size)};
  for (std::size_t i = 0; i < size; ++i)
    frame.payload[i] = static_cast<std::byte>(i * 131 + i / 4096);
  return frame;
}

}  // namespace

void expect_tree_sum(Communicator& communicator, std::int64_t count) {
  const auto parts = random_parts(communicator.size(), count);
  at::Tensor t = at::empty({count}, at::kFloat);
  std::memcpy(t.data_ptr(), parts[communicator.rank()].data(), t.nbytes());
  communicator.all_reduce_sum(t);
  EXPECT_EQ(
      num_different(t, [&](std::int64_t i) { return tree(parts, 0, communicator.size(), i); }), 0)
      << "of " << count << " elements on rank " << communicator.rank();
}

void expect_sum_independent_of_size(Communicator& communicator) {
  constexpr int kParts = 8;
  constexpr std::int64_t kCount = 1000;
  ASSERT_EQ(kParts % communicator.size(), 0);
  const auto parts = random_parts(kParts, kCount);
  const int share = kParts / communicator.size(), begin = communicator.rank() * share;
  at::Tensor t = at::empty({kCount}, at::kFloat);
  for (std::int64_t i = 0; i < kCount; ++i)
    t.data_ptr<float>()[i] = tree(parts, begin, begin + share, i);
  communicator.all_reduce_sum(t);
  EXPECT_EQ(num_different(t, [&](std::int64_t i) { return tree(parts, 0, kParts, i); }), 0)
      << "on " << communicator.size() << " ranks";
}

void expect_gather(Communicator& communicator) {
  const int size = communicator.size();
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kInt, at::kLong, at::kByte}) {
    const at::Tensor mine = at::full({2, 3}, 7 + communicator.rank(), type);
    at::Tensor all = at::zeros({size, 2, 3}, type);
    communicator.all_gather(mine, all);
    for (int r = 0; r < size; ++r)
      EXPECT_TRUE(all[r].equal(at::full({2, 3}, 7 + r, type))) << type << " of rank " << r;
  }
}

void expect_broadcast(Communicator& communicator) {
  for (int root = 0; root < communicator.size(); ++root) {
    at::Tensor t = at::full({5}, 100 + communicator.rank(), at::kLong);
    communicator.broadcast(t, root);
    EXPECT_TRUE(t.equal(at::full({5}, 100 + root, at::kLong))) << "from rank " << root;
  }
}

void expect_frames_arrive(ControlChannel& channel, int rank) {
  constexpr std::size_t kRoom = detail::kFirstFrameBytes - sizeof(FrameHeader);
  std::uint64_t step = 0;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kRoom - 1, kRoom, kRoom + 1, std::size_t{100'000}}) {
    const Frame sent = frame_of(++step, size);
    if (rank == 0) {
      channel.send(sent);
      continue;
    }
    const Result<Frame> received = channel.receive(step, step == 1);
    ASSERT_TRUE(received.ok()) << received.error().message;
    EXPECT_EQ(received->kind, sent.kind);
    EXPECT_EQ(received->step, step);
    EXPECT_TRUE(received->payload == sent.payload) << size << " bytes";
  }
}

void expect_wrong_step_is_refused(ControlChannel& channel, int rank) {
  if (rank == 0) return channel.send(frame_of(8, 10));
  const Result<Frame> received = channel.receive(7, false);
  ASSERT_FALSE(received.ok());
  EXPECT_EQ(received.error().code, Code::kInternal);
  EXPECT_THAT(received.error().message, testing::HasSubstr("step 8, expected 7"));
  EXPECT_THAT(received.error().message, testing::HasSubstr("rank " + std::to_string(rank)));
}

}  // namespace rubato::test
