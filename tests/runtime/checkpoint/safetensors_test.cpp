#include "runtime/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::safetensors_bytes;
using testing::TemporaryFolder;
using testing::write_file;

constexpr std::uint64_t kDataBegin = 100;

Result<std::vector<TensorEntry>> parse(std::string_view header, std::uint64_t data_bytes) {
  return parse_safetensors_header(header, "x.safetensors", kDataBegin, data_bytes);
}

TEST(SafetensorsHeader, ListsTensorsInTheOrderOfTheirData) {
  const auto tensors = parse(R"({"__metadata__": {"format": "pt"},
                                 "b": {"dtype": "F32", "shape": [2], "data_offsets": [12, 20]},
                                 "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
                                 "c": {"dtype": "F16", "shape": [0], "data_offsets": [20, 20]}})",
                             20);

  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_EQ(*tensors,
            (std::vector<TensorEntry>{{"a", DType::kBFloat16, {2, 3}, 100, 112},
                                      {"b", DType::kFloat32, {2}, 112, 120},
                                      {"c", DType::kFloat16, {0}, 120, 120}}));
}

struct BadHeader {
  std::string_view what;
  std::string_view header;
  std::uint64_t data_bytes;
  std::vector<std::string_view> said;
};

// clang-format off
const std::vector<BadHeader> kBadHeaders = {
    {"text that is no JSON", R"({"a": )", 0, {"header", "not valid JSON"}},
    {"an array", "[]", 0, {"object is expected"}},
    {"a tensor given twice",
     R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
         "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 4, {R"(key "a" is given twice)"}},
    {"a tensor given twice, once in escapes",
     R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
         "\u0061": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 4, {R"(key "a" is given twice)"}},
    {"metadata that is no object", R"({"__metadata__": [1]})", 0, {"'__metadata__'", "is [1]", "object"}},
    {"a name that ends a string", R"({"a\u0000b": 3})", 0, {R"("a\u0000b" is no name of a tensor)"}},
    {"a name that moves the cursor", R"({"\u001b[2J": 3})", 0, {R"("\u001b[2J" is no name of a tensor)"}},
    {"a tensor that is no object", R"({"a": 3})", 0, {"'a'", "is 3", "object"}},
    {"no dtype", R"({"a": {"shape": [1], "data_offsets": [0, 4]}})", 4, {"'a'", "dtype is missing", "BF16, F16, F32"}},
    {"another dtype", R"({"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}})", 8,
     {"'a'", "dtype is \"I64\"", "BF16, F16, F32"}},
    {"no shape", R"({"a": {"dtype": "F32", "data_offsets": [0, 4]}})", 4, {"'a'", "shape is missing"}},
    {"a negative size", R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4,
     {"'a'", "shape is [-1]", "none negative"}},
    {"a broken size", R"({"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}})", 4, {"'a'", "shape is"}},
    {"sizes whose product overflows",
     R"({"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}})", 0,
     {"'a'", "[4294967296,4294967296]", "overflows"}},
    {"a size of 64 bits", R"({"a": {"dtype": "F32", "shape": [18446744073709551615], "data_offsets": [0, 4]}})", 4,
     {"'a'", "overflows"}},
    {"offsets that are no whole numbers", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0.0, 4.0]}})", 4,
     {"'a'", "data_offsets is [0.0,4.0]"}},
    {"an offset of 100 bits",
     R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1267650600228229401496703205376]}})", 4,
     {"'a'", "data_offsets is [0,1.26765"}},
    {"no offsets", R"({"a": {"dtype": "F32", "shape": [1]}})", 4, {"'a'", "data_offsets is missing"}},
    {"one offset", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4]}})", 4, {"'a'", "data_offsets is [4]"}},
    {"offsets that run backwards", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4,
     {"'a'", "data_offsets is [4,0]", "begin <= end"}},
    {"a negative offset", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}})", 4,
     {"'a'", "data_offsets is [-4,0]"}},
    {"offsets beyond the file", R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", 4,
     {"'a'", "[0,8]", "beyond the file's 4 bytes"}},
    {"offsets near 2^64",
     R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [18446744073709551611, 18446744073709551615]}})", 4,
     {"'a'", "beyond the file's 4 bytes"}},
    {"offsets at odds with the shape", R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4,
     {"'a'", "span 4 bytes", "F32", "[2]", "need 8"}},
    {"overlapping tensors",
     R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
         "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}})", 12, {"'b'", "begin at 4", "overlaps 'a'"}},
    {"two tensors in one place",
     R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
         "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", 8, {"overlaps"}},
    {"a hole between tensors",
     R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
         "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}})", 12, {"'b'", "hole after 'a'", "ending at 4"}},
    {"data that no tensor uses", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 8,
     {"8 bytes of data", "use 4"}}};
// clang-format on

TEST(SafetensorsHeader, RefusesEveryLieNamingFileAndTensor) {
  for (const BadHeader& bad : kBadHeaders) {
    const auto tensors = parse(bad.header, bad.data_bytes);

    ASSERT_FALSE(tensors.ok()) << bad.what;
    EXPECT_EQ(tensors.error().code, Code::kInvalidArgument) << bad.what;
    EXPECT_THAT(tensors.error().message, HasSubstr("x.safetensors")) << bad.what;
    for (const std::string_view said : bad.said) {
      EXPECT_THAT(tensors.error().message, HasSubstr(std::string(said))) << bad.what;
    }
  }
}

TEST(SafetensorsHeader, RefusesDeepNestingWithoutOverflowingTheStack) {
  EXPECT_FALSE(parse("{\"a\": " + std::string(1 << 20, '['), 0).ok());
}

TEST(SafetensorsHeader, ShowsTheBeginningOfALongName) {
  const std::string name(100'000, 'x');
  for (const std::string& header :
       {"{\"" + name + "\": 3}", "{\"" + name + "\": 3, \"" + name + "\": 3}"}) {
    const auto tensors = parse(header, 0);
    ASSERT_FALSE(tensors.ok());
    EXPECT_THAT(tensors.error().message, HasSubstr("\"xxxx"));
    EXPECT_LT(tensors.error().message.size(), 200u);
  }
}

class SafetensorsFileTest : public ::testing::Test {
 protected:
  Result<SafetensorsFile> open(const std::string& bytes) {
    write_file(file_, bytes);
    return SafetensorsFile::open(file_);
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "model.safetensors";
};

const std::string kOneTensor = R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})";

TEST_F(SafetensorsFileTest, MapsTheDataBehindTheHeader) {
  const auto file = open(safetensors_bytes(kOneTensor, "abcd"));

  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->tensors().size(), 1);
  EXPECT_EQ(file->tensors()[0].begin, 8 + kOneTensor.size());
  EXPECT_EQ(file->mapping().bytes()[file->tensors()[0].begin], std::byte{'a'});
}

TEST_F(SafetensorsFileTest, AcceptsAPaddedHeader) {
  EXPECT_TRUE(open(safetensors_bytes(kOneTensor + "   \n", "abcd")).ok());
}

TEST_F(SafetensorsFileTest, RefusesFilesShorterThanTheyClaim) {
  const std::string whole = safetensors_bytes(kOneTensor, "abcd");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto file = open(whole.substr(0, length));

    ASSERT_FALSE(file.ok()) << length;
    EXPECT_THAT(file.error().message, HasSubstr(file_.string())) << length;
  }
}

TEST_F(SafetensorsFileTest, RefusesAHeaderLengthBeyondTheFileOrTheLimit) {
  EXPECT_THAT(open(std::string("\x40\0\0\0\0\0\0\0{}", 10)).error().message,
              AllOf(HasSubstr("header has 64 bytes"), HasSubstr("ends after 2")));
  EXPECT_THAT(open(std::string(8, '\xff') + "{}").error().message,
              AllOf(HasSubstr("18446744073709551615"), HasSubstr("at most 100000000")));
}

TEST_F(SafetensorsFileTest, RefusesAHeaderThatDoesNotBeginWithABrace) {
  EXPECT_THAT(open(safetensors_bytes(" " + kOneTensor, "abcd")).error().message, HasSubstr("'{'"));
  EXPECT_THAT(open(safetensors_bytes("", "")).error().message, HasSubstr("'{'"));
}

TEST_F(SafetensorsFileTest, SaysWhenThereIsNoFileOrNotARegularOne) {
  const auto missing = SafetensorsFile::open(folder_.path() / "none.safetensors");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("none.safetensors"));

  EXPECT_THAT(SafetensorsFile::open(folder_.path()).error().message, HasSubstr("regular"));
}

}  // namespace
}  // namespace rubato
