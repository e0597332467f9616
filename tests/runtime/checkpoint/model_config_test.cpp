#include "runtime/checkpoint/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "runtime/base/concat.h"
#include "runtime/checkpoint/config_json.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/sparse_checkpoint.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

namespace json = boost::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::small_config;
using testing::TemporaryFolder;
using testing::write_file;

Result<ModelConfig> read_text(const std::string& config, const std::string& generation = "") {
  TemporaryFolder folder;
  write_file(folder.path() / "config.json", config);
  if (!generation.empty()) write_file(folder.path() / "generation_config.json", generation);
  return read_model_config(folder.path());
}

Result<ModelConfig> read_changed(std::string_view key, const json::value& value) {
  json::object object = config_json(small_config());
  object[key] = value;
  return read_text(json::serialize(object));
}

TEST(ModelConfig, ReadsThePublishedFileOfLlada8b) {
  const auto config = read_text(std::string(testing::kLlada8bConfigJson));

  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->d_model, 4096);
  EXPECT_EQ(config->n_layers, 32);
  EXPECT_EQ(config->head_dim(), 128);
  EXPECT_EQ(config->mlp_hidden_size, 12288);
  EXPECT_EQ(config->embedding_size, 126464);
  EXPECT_EQ(config->max_sequence_length, 4096);
  EXPECT_DOUBLE_EQ(config->rope_theta, 500000);
  EXPECT_DOUBLE_EQ(config->rms_norm_eps, 1e-5);
  EXPECT_EQ(config->mask_token_id, 126336);
  EXPECT_EQ(config->eos_token_id, 126081);
  EXPECT_EQ(config->pad_token_id, 126081);
  EXPECT_EQ(config->dtype, DType::kBFloat16);
  EXPECT_EQ(config->bos_token_id, std::nullopt);
  EXPECT_EQ(config->parameter_count(), 8015581184);
}

struct BadValue {
  std::string_view key;
  json::value value;
  std::string_view supported;
};

TEST(ModelConfig, RefusesWhatTheEngineDoesNotImplementNamingKeyValueAndWhatIsSupported) {
  const std::vector<BadValue> cases = {
      {"model_type", "llama", "\"llada\""},
      {"block_type", "sequential", "\"llama\""},
      {"activation_type", "swiglu", "\"silu\""},
      {"layer_norm_type", "default", "\"rms\""},
      {"rope", false, "true"},
      {"rope_full_precision", false, "true"},
      {"weight_tying", true, "false"},
      {"include_bias", true, "false"},
      {"include_qkv_bias", true, "false"},
      {"scale_logits", true, "false"},
      {"attention_layer_norm", true, "false"},
      {"input_emb_norm", true, "false"},
      {"alibi", true, "false"},
      {"multi_query_attention", true, "false"},
      {"block_group_size", 2, "1"},
      {"bias_for_layer_norm", true, "false"},
      {"layer_norm_with_affine", false, "true"},
      {"rope_scaling", json::object{{"type", "linear"}}, "null"},
      {"n_kv_heads", 2, "4"},
      {"torch_dtype", "float64", "\"bfloat16\", \"float16\", \"float32\""},
      {"torch_dtype", 16, "\"bfloat16\", \"float16\", \"float32\""},
      {"n_heads", 0, "1 to"},
      {"d_model", 0, "1 to 65536"},
      {"d_model", -32, "1 to 65536"},
      {"n_layers", 100000, "1 to 1024"},
      {"mlp_hidden_size", 2147483647, "1 to 1048576"},
      {"embedding_size", 0, "1 to"},
      {"max_sequence_length", 0, "1 to"},
      {"mask_token_id", 64, "0 to 63"},
      {"pad_token_id", -1, "0 to 63"},
      {"eos_token_id", 64, "0 to 63"}};
  for (const BadValue& each : cases) {
    const auto config = read_changed(each.key, each.value);

    ASSERT_FALSE(config.ok()) << each.key << " " << each.value;
    EXPECT_EQ(config.error().param, each.key);
    EXPECT_THAT(config.error().message,
                AllOf(HasSubstr("config.json"),
                      HasSubstr(concat(each.key, " is ", json::serialize(each.value))),
                      HasSubstr("supported"),
                      HasSubstr(std::string(each.supported))));
  }
}

TEST(ModelConfig, RefusesValuesOfAnotherTypeOrAtOddsWithEachOther) {
  const std::vector<BadValue> cases = {{"d_model", 32.0, "is 32.0; a whole number"},
                                       {"d_model", "32", "whole number"},
                                       {"n_layers", 4294967298, "whole number"},
                                       {"rope_theta", "big", "a number"},
                                       {"rope_theta", -1, "positive"},
                                       {"rms_norm_eps", 0, "positive"},
                                       {"eos_token_id", json::array(), "at least one"},
                                       {"eos_token_id", 62, "mask_token_id"},
                                       {"d_model", 30, "n_heads 4"},
                                       {"d_model", 12, "even"},
                                       {"embedding_size", 63, "vocab_size 64"}};
  for (const BadValue& each : cases) {
    const auto config = read_changed(each.key, each.value);

    ASSERT_FALSE(config.ok()) << each.key << " " << each.value;
    EXPECT_THAT(config.error().message,
                AllOf(HasSubstr("config.json"), HasSubstr(std::string(each.supported))));
  }
}

TEST(ModelConfig, AsksForEveryKeyThatDecidesTheComputation) {
  for (const std::string_view key : {"model_type",       "block_type",   "activation_type",
                                     "layer_norm_type",  "d_model",      "n_layers",
                                     "n_heads",          "n_kv_heads",   "mlp_hidden_size",
                                     "vocab_size",       "rope",         "embedding_size",
                                     "rope_theta",       "rms_norm_eps", "rope_full_precision",
                                     "weight_tying",     "include_bias", "max_sequence_length",
                                     "include_qkv_bias", "scale_logits", "attention_layer_norm",
                                     "mask_token_id",    "eos_token_id", "pad_token_id",
                                     "torch_dtype"}) {
    json::object object = config_json(small_config());
    object.erase(key);

    const auto config = read_text(json::serialize(object));

    ASSERT_FALSE(config.ok()) << key;
    EXPECT_THAT(config.error().message, HasSubstr(concat("config.json: ", key, " is missing")));
  }
}

TEST(ModelConfig, ReadsTheDtypeUnderItsNewerName) {
  json::object object = config_json(small_config());
  object.erase("torch_dtype");
  object["dtype"] = "float16";

  const auto config = read_text(json::serialize(object));

  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->dtype, DType::kFloat16);
}

TEST(ModelConfig, TakesBosAndFurtherEosIdsFromGenerationConfig) {
  const auto config = read_text(json::serialize(config_json(small_config())),
                                R"({"bos_token_id": 63, "eos_token_id": [61, 7]})");

  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->bos_token_id, 63);
  EXPECT_EQ(config->eos_token_id, 61);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(61, 7));
}

TEST(ModelConfig, ChecksGenerationConfigAsWell) {
  for (const char* text : {R"({"bos_token_id": 64})",
                           R"({"eos_token_id": 62})",  // the mask
                           R"({"bos_token_id": "x"})",
                           R"({"eos_token_id": [61, -1]})",
                           R"({"eos_token_id": 61)"}) {
    const auto config = read_text(json::serialize(config_json(small_config())), text);

    ASSERT_FALSE(config.ok()) << text;
    EXPECT_THAT(config.error().message, HasSubstr("generation_config.json")) << text;
  }
}

TEST(ModelConfig, RefusesFilesThatAreNotOneJsonObject) {
  for (const char* text : {"", "{", "[]", "{} x", "{\"d_model\": 1, \"d_model\": 2}", "\xff"}) {
    const auto config = read_text(text);

    ASSERT_FALSE(config.ok()) << text;
    EXPECT_THAT(config.error().message, HasSubstr("config.json")) << text;
  }
  EXPECT_THAT(read_text("{\"a\": 1, \"a\": 2}").error().message,
              HasSubstr(R"(key "a" is given twice)"));
}

TEST(ModelConfig, SaysWhenThereIsNoFile) {
  TemporaryFolder folder;

  const auto config = read_model_config(folder.path());

  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().code, Code::kNotFound);
  EXPECT_THAT(config.error().message, HasSubstr((folder.path() / "config.json").string()));
}

}  // namespace
}  // namespace rubato
