#include "runtime/base/byte_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace rubato {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

enum class Colour : std::uint8_t { kRed, kGreen, kBlue };

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(ByteWriter, WritesLittleEndianWithoutPadding) {
  std::vector<std::byte> out = bytes_of({7});
  ByteWriter writer(out);
  writer.put<std::uint8_t>(1);
  writer.put<std::uint32_t>(0x04030201);
  writer.put_all<std::uint16_t>(std::vector<std::uint16_t>{5, 6});
  EXPECT_EQ(out, bytes_of({7, 1, 1, 2, 3, 4, 2, 0, 0, 0, 5, 0, 6, 0}));
}

TEST(ByteReader, ReadsWhatWasWritten) {
  std::vector<std::byte> out;
  ByteWriter writer(out);
  writer.put(-0.5);
  writer.put(std::numeric_limits<std::int64_t>::min());
  writer.put_all<std::int32_t>(std::vector{1, -2});
  writer.put_all<std::int32_t>({});
  ByteReader reader(out);
  EXPECT_EQ(reader.get<double>(), -0.5);
  EXPECT_EQ(reader.get<std::int64_t>(), std::numeric_limits<std::int64_t>::min());
  EXPECT_THAT(reader.get_all<std::int32_t>(), ElementsAre(1, -2));
  EXPECT_FALSE(reader.at_end());
  EXPECT_THAT(reader.get_all<std::int32_t>(), IsEmpty());
  EXPECT_TRUE(reader.at_end());
}

TEST(ByteReader, GivesZerosPastTheEndAndSaysSoForGood) {
  const auto bytes = bytes_of({1, 2, 3});
  ByteReader reader(bytes);
  EXPECT_EQ(reader.get<std::uint32_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.get<std::uint8_t>(), 0u);
  EXPECT_FALSE(reader.at_end());
}

TEST(ByteReader, TakesNoMemoryForACountThatTheBytesCannotHold) {
  const auto bytes = bytes_of({255, 255, 255, 255, 1, 2, 3, 4});
  ByteReader values(bytes), counts(bytes);
  EXPECT_THAT(values.get_all<std::int64_t>(), IsEmpty());
  EXPECT_FALSE(values.ok());
  EXPECT_EQ(counts.get_count(1), 0u);
  EXPECT_FALSE(counts.ok());
}

TEST(ByteReader, TakesEnumeratorsOnly) {
  const auto bytes = bytes_of({2, 3});
  ByteReader reader(bytes);
  EXPECT_EQ(reader.get_enum(Colour::kBlue), Colour::kBlue);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.get_enum(Colour::kBlue), Colour::kRed);
  EXPECT_FALSE(reader.ok());
}

TEST(Seal, CoversWhatItsWriterPut) {
  std::vector<std::byte> out = bytes_of({9, 9});
  ByteWriter writer(out);
  writer.put<std::uint32_t>(77);
  writer.seal();
  ByteReader reader{std::span(out).subspan(2)};
  reader.unseal();
  EXPECT_EQ(reader.get<std::uint32_t>(), 77u);
  EXPECT_TRUE(reader.at_end());
}

TEST(Seal, ThatIsShortOrWrongIsAnError) {
  for (const auto& bytes :
       {bytes_of({}), bytes_of({1, 2, 3}), bytes_of({1, 0, 0, 0, 0, 0, 0, 0, 0})}) {
    ByteReader reader(bytes);
    reader.unseal();
    EXPECT_FALSE(reader.ok());
  }
}

TEST(Checksum, IsFnv1a) {
  EXPECT_EQ(checksum({}), 0xcbf29ce484222325);
  EXPECT_EQ(checksum(bytes_of({'a'})), 0xaf63dc4c8601ec8c);
  EXPECT_EQ(checksum(bytes_of({'f', 'o', 'o', 'b', 'a', 'r'})), 0x85944171f73967e8);
}

}  // namespace
}  // namespace rubato
