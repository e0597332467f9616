#include "parallel/control_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace rubato {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kStep = 41;

FrameHeader good_header() {
  return detail::header_of({.kind = 2, .step = kStep, .payload = std::vector<std::byte>(100)});
}

std::string refusal(const FrameHeader& header) {
  const Status status = detail::check_header(header, kStep, 3);
  return status.ok() ? "accepted" : status.error().message;
}

TEST(FrameHeader, IsAcceptedAsItWasMade) {
  EXPECT_TRUE(detail::check_header(good_header(), kStep, 3).ok());
}

TEST(FrameHeader, WithAnotherMagicIsRefused) {
  FrameHeader header = good_header();
  header.magic ^= 1;
  EXPECT_THAT(refusal(header), HasSubstr("rank 3 received a control message with magic"));
}

TEST(FrameHeader, OfAnotherVersionIsRefused) {
  FrameHeader header = good_header();
  header.version = 9;
  EXPECT_THAT(refusal(header), HasSubstr("version 9, expected 3"));
}

TEST(FrameHeader, OfAnotherStepIsRefused) {
  FrameHeader header = good_header();
  header.step = kStep + 1;
  EXPECT_THAT(refusal(header), HasSubstr("step 42, expected 41"));
}

TEST(FrameHeader, ThatPromisesTooMuchPayloadIsRefused) {
  FrameHeader header = good_header();
  header.payload_size = detail::kMostPayloadBytes + 1;
  EXPECT_THAT(refusal(header), HasSubstr("payload size 1073741825"));
}

std::vector<std::byte> bytes_of(const FrameHeader& header) {
  const auto bytes = std::as_bytes(std::span(&header, 1));
  return {bytes.begin(), bytes.end()};
}

TEST(FrameHeader, WithAnyBitFlippedIsRefusedButForKindAndSize) {
  const auto checked = [](std::size_t byte) {
    return byte != offsetof(FrameHeader, kind) && byte < offsetof(FrameHeader, payload_size);
  };
  for (std::size_t bit = 0; bit < sizeof(FrameHeader) * 8; ++bit) {
    std::vector<std::byte> bytes = bytes_of(good_header());
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_TRUE(!detail::read_header(bytes, kStep, 3).ok() || !checked(bit / 8)) << "bit " << bit;
  }
}

TEST(FrameHeader, IsReadFromTheBeginningOfAMessage) {
  std::vector<std::byte> bytes = bytes_of(good_header());
  bytes.resize(200);
  const Result<FrameHeader> header = detail::read_header(bytes, kStep, 3);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->kind, 2);
  EXPECT_EQ(header->payload_size, 100u);
}

TEST(FrameHeader, ThatIsCutOffIsRefused) {
  const std::vector<std::byte> bytes = bytes_of(good_header());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto header = detail::read_header(std::span(bytes).first(length), kStep, 3);
    ASSERT_FALSE(header.ok());
    EXPECT_THAT(header.error().message, HasSubstr("less than its header"));
  }
}

TEST(FrameHeader, OfRandomBytesIsRefused) {
  std::mt19937 random(5);
  std::uniform_int_distribution<int> byte(0, 255);
  for (int round = 0; round < 1000; ++round) {
    unsigned char bytes[sizeof(FrameHeader)];
    for (unsigned char& b : bytes) b = static_cast<unsigned char>(byte(random));
    FrameHeader header;
    std::memcpy(&header, bytes, sizeof header);
    EXPECT_NE(refusal(header), "accepted");
  }
}

}  // namespace
}  // namespace rubato
