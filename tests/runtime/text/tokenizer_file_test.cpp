// tokenizer.json files that must not load, and what the error says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "runtime/base/concat.h"
#include "tests/runtime/text/small_tokenizer.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using ::testing::HasSubstr;

/// The error of loading such a file; empty if it loads.
std::string error_of(const std::string& json) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  std::ofstream(file, std::ios::binary) << json;
  const auto loaded = Tokenizer::load(file);
  if (loaded.ok()) return {};
  EXPECT_EQ(loaded.error().code, Code::kInvalidArgument);
  EXPECT_THAT(loaded.error().message, HasSubstr("tokenizer.json"));
  return loaded.error().message;
}

std::string error_with(std::string_view from, std::string_view to) {
  return error_of(testing::small_tokenizer_json(from, to));
}

TEST(TokenizerFile, LoadsWhenNothingIsWrong) {
  EXPECT_EQ(error_with("", ""), "");
}

TEST(TokenizerFile, MustBeAWholeJsonObject) {
  const std::string whole = testing::small_tokenizer_json();
  EXPECT_THAT(error_of(whole.substr(0, whole.size() / 2)), HasSubstr("not JSON"));
  EXPECT_THAT(error_of(""), HasSubstr("not JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("pre_tokenizer is missing"));
  EXPECT_NE(error_of(std::string(100'000, '[')), "");
}

TEST(TokenizerFile, MayAskForNormalFormsOnly) {
  const auto error = [](const std::string& normalizer) {
    return error_with(R"("normalizer":null)", "\"normalizer\":" + normalizer);
  };
  EXPECT_EQ(error(R"({"type":"NFC"})"), "");
  EXPECT_EQ(error(R"({"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"NFKC"}]})"), "");
  EXPECT_EQ(error(R"({"type":"Sequence","normalizers":[]})"), "");
  EXPECT_THAT(error(R"({"type":"Lowercase"})"),
              HasSubstr("normalizer 'Lowercase' is not supported; supported: NFC, NFD"));
  EXPECT_THAT(error(R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Strip"}]})"),
              HasSubstr("normalizer 'Strip'"));
  EXPECT_THAT(error(R"({"type":"Sequence"})"), HasSubstr("normalizer.normalizers is missing"));
  EXPECT_THAT(error("7"), HasSubstr("normalizer is not an object"));
}

std::string error_of_post_processor(const std::string& post_processor) {
  return error_with(R"("normalizer":null)", "\"post_processor\":" + post_processor);
}

std::string error_of_template(const std::string& single, const std::string& ids = "260") {
  return error_of_post_processor(R"({"type":"TemplateProcessing","single":[)" + single +
                                 R"(],"special_tokens":{"<s>":{"ids":[)" + ids + "]}}}");
}

constexpr const char* kText = R"({"Sequence":{"id":"A","type_id":0}})";
constexpr const char* kStart = R"({"SpecialToken":{"id":"<s>","type_id":0}})";

TEST(TokenizerFile, MayFrameATextWithATemplate) {
  EXPECT_EQ(error_of_post_processor("null"), "");
  EXPECT_EQ(error_of_post_processor(R"({"type":"ByteLevel","trim_offsets":true})"), "");
  EXPECT_EQ(error_of_template(concat(kStart, ',', kText)), "");
  EXPECT_THAT(error_of_post_processor(R"({"type":"RobertaProcessing"})"),
              HasSubstr("post_processor 'RobertaProcessing' is not supported"));
  EXPECT_THAT(error_of_post_processor("[]"), HasSubstr("post_processor is not an object"));
}

TEST(TokenizerFile, NeedsATemplateOfOneTextAndTokensThatThereAre) {
  EXPECT_THAT(error_of_template(kStart), HasSubstr("single holds no text"));
  EXPECT_THAT(error_of_template(concat(kText, ',', kText)), HasSubstr("more than one text"));
  EXPECT_THAT(error_of_template(R"({"Sequence":{"id":"B"}})"), HasSubstr("more than one text"));
  EXPECT_THAT(error_of_template(R"({"Other":{}})"), HasSubstr("single.Sequence is missing"));
  EXPECT_THAT(error_of_template(concat(R"({"SpecialToken":{"id":"<t>"}},)", kText)),
              HasSubstr("special_tokens.<t> is missing"));
  const std::string framed = concat(kStart, ',', kText);
  EXPECT_THAT(error_of_template(framed, "-1"), HasSubstr("<s>.ids holds something"));
  EXPECT_THAT(error_of_template(framed, "\"260\""), HasSubstr("<s>.ids holds something"));
  EXPECT_THAT(error_of_template(framed, "266"), HasSubstr("adds id 266, which no token has"));
  const std::string once = R"({"type":"TemplateProcessing","single":[)" + std::string(kText) +
                           R"(],"special_tokens":{}})";
  EXPECT_EQ(error_of_post_processor(R"({"type":"Sequence","processors":[)" + once + "]}"), "");
  EXPECT_THAT(
      error_of_post_processor(R"({"type":"Sequence","processors":[)" + once + "," + once + "]}"),
      HasSubstr("two TemplateProcessing"));
}

TEST(TokenizerFile, NeedsAPreTokenizerThatIsSupported) {
  EXPECT_THAT(error_with(R"("Split")", R"("Metaspace")"), HasSubstr("'Metaspace'"));
  EXPECT_THAT(error_with(R"("ByteLevel")", R"("Digits")"), HasSubstr("'Digits'"));
  EXPECT_THAT(error_with(R"("Isolated")", R"("Removed")"), HasSubstr("'Removed'"));
  EXPECT_THAT(error_with(R"("invert":false)", R"("invert":true)"), HasSubstr("invert"));
  EXPECT_THAT(error_with(R"("use_regex":false)", R"("use_regex":true)"), HasSubstr("use_regex"));
  EXPECT_THAT(error_with(R"("add_prefix_space":false)", R"("add_prefix_space":true)"),
              HasSubstr("add_prefix_space"));
  EXPECT_THAT(error_with(R"("pretokenizers")", R"("other")"), HasSubstr("pretokenizers"));
}

TEST(TokenizerFile, NeedsAPatternThatCompiles) {
  EXPECT_THAT(error_with("'(?i:", "((?i:"), HasSubstr("regular expression, at character"));
}

TEST(TokenizerFile, NeedsAByteLevelBpe) {
  EXPECT_THAT(error_with(R"("BPE")", R"("Unigram")"), HasSubstr("'Unigram'"));
  EXPECT_THAT(error_with(R"("BPE")", R"("BPE","byte_fallback":true)"), HasSubstr("byte_fallback"));
  EXPECT_THAT(error_with(R"("BPE")", R"("BPE","dropout":0.1)"), HasSubstr("dropout"));
  EXPECT_THAT(error_with("\"A\":", "\"AA\":"), HasSubstr("no token for byte 65"));
  EXPECT_THAT(error_with("\"A\":", "\"\xe2\x82\xac\":"), HasSubstr("byte-level characters"));
}

TEST(TokenizerFile, NeedsIdsThatAreSmallNumbers) {
  EXPECT_THAT(error_with(":259}", ":-1}"), HasSubstr("the id of token 'hello'"));
  EXPECT_THAT(error_with(":259}", ":1.5}"), HasSubstr("the id of token 'hello'"));
  EXPECT_THAT(error_with(":259}", ":\"259\"}"), HasSubstr("the id of token 'hello'"));
  EXPECT_THAT(error_with(":259}", ":2147483647}"), HasSubstr("the id of token 'hello'"));
}

TEST(TokenizerFile, NeedsMergesOfTokensItHas) {
  EXPECT_THAT(error_with("\"he ll\"", "\"he lll\""), HasSubstr("merges[2]"));
  EXPECT_THAT(error_with("\"he ll\"", "\"hell\""), HasSubstr("model.merges"));
  EXPECT_THAT(error_with("\"he ll\"", "[\"he\"]"), HasSubstr("model.merges"));
  EXPECT_THAT(error_with("\"he ll\"", "7"), HasSubstr("model.merges"));
}

TEST(TokenizerFile, NeedsAddedTokensThatAreSpecial) {
  EXPECT_THAT(error_with(R"("special":true)", R"("special":false)"),
              HasSubstr("'<|startoftext|>' is not special"));
  EXPECT_THAT(error_with(R"("content")", R"("text")"), HasSubstr("added_tokens.content"));
  EXPECT_THAT(error_with(R"("added_tokens":[)", R"("added_tokens":[7,)"),
              HasSubstr("added_tokens"));
}

}  // namespace
}  // namespace rubato
