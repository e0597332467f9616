#include "benchmarks/serving/answer_reader.h"

#include <gtest/gtest.h>

namespace rubato {
namespace {

constexpr std::string_view kStream =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"4\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n"
    "data: [DONE]\n\n";

TEST(EventReader, GivesTheDataOfWholeEventsHoweverTheyAreCut) {
  const std::string_view stream =
      ": a comment\n\nevent: x\ndata: one\n\ndata:two\r\ndata: three\r\n\r\nid: 7\n\ndata: \n\n";
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    EventReader reader;
    std::vector<std::string> events;
    for (std::size_t begin = 0; begin < stream.size(); begin += size) {
      reader.add(stream.substr(begin, size));
      while (auto event = reader.next()) events.push_back(*event);
    }
    EXPECT_EQ(events, (std::vector<std::string>{"one", "two\nthree", ""})) << size;
  }
}

TEST(EventReader, KeepsAnEventThatIsNotWhole) {
  EventReader reader;
  reader.add("data: 1\n");
  EXPECT_EQ(reader.next(), std::nullopt);
  reader.add("\n");
  EXPECT_EQ(reader.next(), "1");
}

TEST(AnswerReader, SeesTheFirstTextTheUsageAndTheEnd) {
  AnswerReader reader;
  const std::size_t role_end = kStream.find("\n\n") + 2;
  reader.add(kStream.substr(0, role_end));
  EXPECT_FALSE(reader.has_text());
  const std::size_t text_end = kStream.find("\n\n", role_end) + 2;
  reader.add(kStream.substr(role_end, text_end - role_end));
  EXPECT_TRUE(reader.has_text());
  EXPECT_FALSE(reader.done());
  reader.add(kStream.substr(text_end));
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(reader.prompt_tokens(), 9);
  EXPECT_EQ(reader.output_tokens(), 2);
  EXPECT_EQ(reader.error(), "");
}

TEST(AnswerReader, TellsAnErrorWithinTheStream) {
  AnswerReader reader;
  reader.add("data: {\"error\":{\"message\":\"the engine is gone\"}}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(reader.error(), "the engine is gone");
}

TEST(AnswerReader, TellsWhatIsNotJson) {
  AnswerReader reader;
  reader.add("data: {\"choices\n\n");
  EXPECT_EQ(reader.error(), "a chunk is not JSON");
}

TEST(AnswerReader, IsNotTroubledByChunksOfAnotherForm) {
  AnswerReader reader;
  reader.add("data: 7\n\ndata: {\"choices\":{}}\n\ndata: {\"choices\":[1],\"usage\":null}\n\n");
  EXPECT_FALSE(reader.has_text());
  EXPECT_EQ(reader.error(), "");
}

TEST(ErrorMessage, IsThatOfTheErrorObjectOrTheTextItself) {
  EXPECT_EQ(error_message(R"({"error":{"message":"full"}})"), "full");
  EXPECT_EQ(error_message("<html>no</html>"), "<html>no</html>");
  EXPECT_EQ(error_message(R"({"error":7})"), R"({"error":7})");
  EXPECT_EQ(error_message(std::string(5000, 'x')).size(), 200u);
}

}  // namespace
}  // namespace rubato
