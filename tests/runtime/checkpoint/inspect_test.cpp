#include "runtime/checkpoint/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::small_config;
using testing::TemporaryFolder;

class Inspect : public ::testing::Test {
 protected:
  Inspect() {
    ModelConfig config = small_config();  // 2 layers, d_model 32, 4 heads, MLP 48, 64 ids
    config.max_sequence_length = 2048;
    write_checkpoint(folder_.path(),
                     testing::random_model(config, 5),
                     {DType::kBFloat16, Naming::kHuggingFaceLlama, 2});
  }

  TemporaryFolder folder_;
};

TEST_F(Inspect, StatesWhatTheFilesHold) {
  const auto found = inspect(folder_.path());

  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->parameters, found->config.parameter_count());
  EXPECT_EQ(found->num_tensors, 21);
  EXPECT_THAT(found->shards, SizeIs(2));
  EXPECT_EQ(found->shards[0].file, "model-00001-of-00002.safetensors");
  EXPECT_EQ(found->shards[0].num_tensors + found->shards[1].num_tensors, 21);
  EXPECT_THAT(found->stored_dtypes, ElementsAre(DType::kBFloat16));
  EXPECT_EQ(found->dtype, DType::kBFloat16);
  EXPECT_THAT(found->lengths, ElementsAre(512, 1024, 2048));
}

TEST_F(Inspect, WorksOutWhatFitsBesideTheWeights) {
  InspectOptions options;
  options.tp_sizes = {2};
  options.dtype = DType::kFloat32;
  options.reserve_gib = 0.5;
  options.device_gib = {0.25, 1};
  const auto found = inspect(folder_.path(), options);

  ASSERT_TRUE(found.ok()) << found.error().message;
  const RankMemory& rank = found->ranks.at(0);
  EXPECT_EQ(rank.weight_bytes, 4 * rank.parameters);
  EXPECT_EQ(rank.cache_bytes_per_token, 4 * 16 * 2 * 4);
  EXPECT_THAT(rank.fits.at(0).sequences, ElementsAre(0, 0, 0));
  // Half a GiB less the weights, over 512 bytes a token.
  const std::int64_t free_bytes = (std::int64_t{1} << 29) - rank.weight_bytes;
  EXPECT_THAT(
      rank.fits.at(1).sequences,
      ElementsAre(free_bytes / (512 * 512), free_bytes / (1024 * 512), free_bytes / (2048 * 512)));
}

TEST_F(Inspect, CountsTheLayersMatricesInFloat8) {
  InspectOptions options;
  options.tp_sizes = {2};
  options.dtype = DType::kBFloat16;
  options.float8 = true;
  const auto found = inspect(folder_.path(), options);

  ASSERT_TRUE(found.ok()) << found.error().message;
  const std::int64_t matrices = 2 * (4 * 32 * 16 + 3 * 32 * 24);  // of two layers, halves
  const std::int64_t channels = 2 * (3 * 16 + 32 + 2 * 24 + 32);
  const RankMemory& rank = found->ranks.at(0);
  EXPECT_EQ(rank.weight_bytes, matrices + 4 * channels + 2 * (rank.parameters - matrices));
  EXPECT_THAT(found->notes, ::testing::Contains(HasSubstr("float8 is what GPUs hold")));
  EXPECT_THAT(to_table(*found), HasSubstr("in bfloat16, the layers' matrices in fp8:"));
  EXPECT_EQ(json::parse(to_json(*found)).at("quantization"), "fp8");
}

TEST_F(Inspect, ShowsSizesThatDoNotDivideWithTheReason) {
  InspectOptions options;
  options.tp_sizes = {1, 3};
  const auto found = inspect(folder_.path(), options);

  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->ranks.at(0).problem, "");
  EXPECT_THAT(found->ranks.at(1).problem, HasSubstr("n_heads 4"));
  EXPECT_THAT(to_table(*found), HasSubstr("TP 3: n_heads 4 does not divide"));
}

TEST_F(Inspect, ShowsNoEmptyTable) {
  InspectOptions options;
  options.tp_sizes = {3};
  const auto found = inspect(folder_.path(), options);

  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(to_table(*found), ::testing::Not(HasSubstr("Each rank holds")));
}

TEST_F(Inspect, SaysWhatServingOnACpuTakesInstead) {
  const auto found = inspect(folder_.path());

  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(found->notes, ::testing::Contains(HasSubstr("--dtype bfloat16")));
}

TEST_F(Inspect, NotesConversionsAndMissingTokenizerFiles) {
  InspectOptions options;
  options.dtype = DType::kFloat32;
  const auto found = inspect(folder_.path(), options);

  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(
      found->notes,
      ElementsAre("weights stored as bfloat16 are converted to float32 while they are loaded",
                  HasSubstr("tokenizer.json"),
                  HasSubstr("tokenizer_config.json")));
}

TEST_F(Inspect, WritesATableForAPerson) {
  const auto found = inspect(folder_.path());

  ASSERT_TRUE(found.ok()) << found.error().message;
  const std::string table = to_table(*found);
  EXPECT_THAT(table, HasSubstr("2 layers, d_model 32, 4 heads of 8, MLP 48"));
  EXPECT_THAT(table, HasSubstr("21,664 in 21 tensors"));
  EXPECT_THAT(table, HasSubstr("2,048 tokens"));
  EXPECT_THAT(table, HasSubstr("141 GiB"));
}

TEST_F(Inspect, WritesJsonForAProgram) {
  InspectOptions options;
  options.tp_sizes = {1, 3};
  const auto found = inspect(folder_.path(), options);

  ASSERT_TRUE(found.ok()) << found.error().message;
  const json::value value = json::parse(to_json(*found));
  EXPECT_EQ(value.at("parameters").as_int64(), found->parameters);
  EXPECT_EQ(value.at("config").at("d_model").as_int64(), 32);
  EXPECT_EQ(value.at("ranks").at(0).at("weight_bytes").as_int64(), 2 * found->parameters);
  EXPECT_EQ(value.at("ranks").at(0).at("fits").at(0).at("sequences").at("512").as_int64(),
            found->ranks[0].fits[0].sequences[0]);
  EXPECT_TRUE(value.at("ranks").at(1).as_object().contains("problem"));
}

TEST_F(Inspect, AnswersWithTheErrorThatLoadingWouldGive) {
  std::filesystem::remove(folder_.path() / "config.json");

  const auto found = inspect(folder_.path());

  ASSERT_FALSE(found.ok());
  EXPECT_THAT(found.error().message, HasSubstr("config.json"));
}

TEST_F(Inspect, RefusesDeviceSizesThatMakeNoSense) {
  InspectOptions options;
  options.device_gib = {-1};
  EXPECT_EQ(inspect(folder_.path(), options).error().param, "device_gib");
}

}  // namespace
}  // namespace rubato
