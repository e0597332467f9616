#include "http/page.h"

#include <fstream>
#include <set>

#include "tests/http/server_test.h"

namespace rubato::testing {
namespace {

namespace http = boost::beast::http;
using ::testing::HasSubstr;
using ::testing::Not;

class PageTest : public ServerTest {
 protected:
  static std::string path_of(const PageFile& file) {
    return file.name == "index.html" ? "/" : "/page/" + std::string(file.name);
  }
};

TEST_F(PageTest, StandsAtTheRoot) {
  RawClient client(start());
  const Reply reply = client.ask(get("/?x=1"));
  EXPECT_EQ(reply.result_int(), 200u);
  EXPECT_EQ(reply[http::field::content_type], "text/html; charset=utf-8");
  EXPECT_THAT(reply.body(), HasSubstr("<!doctype html>"));
}

TEST_F(PageTest, EveryFileHasItsTypeAndIsWhatStandsInTheSources) {
  RawClient client(start());
  const std::pair<std::string_view, std::string_view> types[] = {
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".svg", "image/svg+xml"}};
  for (const auto& [ending, type] : types) {
    bool found = false;
    for (const PageFile& file : page_files()) {
      if (!file.name.ends_with(ending)) continue;
      found = true;
      const Reply reply = client.ask(get(path_of(file)));
      EXPECT_EQ(reply.result_int(), 200u) << file.name;
      EXPECT_EQ(reply[http::field::content_type], type) << file.name;
      std::ifstream source(RUBATO_SOURCE_DIR "/http/page/" + std::string(file.name));
      const std::string text(std::istreambuf_iterator<char>(source), {});
      EXPECT_EQ(reply.body(), text) << file.name;
    }
    EXPECT_TRUE(found) << ending;
  }
}

TEST_F(PageTest, NothingElseStandsBesideIt) {
  RawClient client(start());
  for (const char* path : {"/page",
                           "/page/",
                           "/page/index.html",
                           "/page/README.md",
                           "/index.html",
                           "/page/../page/main.js",
                           "/page//main.js"}) {
    EXPECT_EQ(client.ask(get(path)).result_int(), 404u) << path;
  }
}

TEST_F(PageTest, MayRunItsOwnScriptsOnlyAndSpeakToThisServerOnly) {
  RawClient client(start());
  const Reply reply = client.ask(get("/"));
  const std::string policy(reply["Content-Security-Policy"]);
  EXPECT_THAT(policy, HasSubstr("default-src 'none'; script-src 'self'; style-src 'self'"));
  EXPECT_THAT(policy, HasSubstr("connect-src 'self'"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(reply["X-Content-Type-Options"], "nosniff");
  EXPECT_EQ(reply["Referrer-Policy"], "no-referrer");
}

TEST_F(PageTest, IsNotSentAgainToThoseWhoHaveIt) {
  RawClient client(start());
  const Reply whole = client.ask(get("/"));
  const std::string tag(whole[http::field::etag]);
  ASSERT_EQ(tag.size(), 66u);  // SHA-256 in quotes
  EXPECT_EQ(whole[http::field::cache_control], "no-cache");
  for (const std::string& known : {tag, "W/" + tag, "\"other\", " + tag, std::string("*")}) {
    client.send(get("/", "If-None-Match: " + known + "\r\n"));
    const Reply reply = client.read(/*to_head=*/true);
    EXPECT_EQ(reply.result_int(), 304u) << known;
    EXPECT_EQ(reply[http::field::etag], tag);
    EXPECT_EQ(reply.count(http::field::content_length), 0u);
  }
  EXPECT_EQ(client.ask(get("/", "If-None-Match: \"other\"\r\n")).result_int(), 200u);
}

TEST_F(PageTest, EachFileHasATagOfItsOwn) {
  std::set<std::string_view> tags;
  for (const PageFile& file : page_files()) tags.insert(file.etag);
  EXPECT_EQ(tags.size(), page_files().size());
}

TEST_F(PageTest, AnswersHeadWithoutABody) {
  RawClient client(start());
  const std::size_t size = client.ask(get("/")).body().size();
  client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
  const Reply reply = client.read(/*to_head=*/true);
  EXPECT_EQ(reply.result_int(), 200u);
  EXPECT_EQ(reply[http::field::content_length], std::to_string(size));
  EXPECT_EQ(client.ask(get("/health")).result_int(), 200u);
}

TEST_F(PageTest, IsForLookingAtOnly) {
  RawClient client(start());
  for (const char* path : {"/", "/page/style.css"}) {
    const Reply reply = client.ask(post(path, "{}"));
    EXPECT_EQ(reply.result_int(), 405u) << path;
    EXPECT_EQ(reply[http::field::allow], "GET, HEAD");
  }
}

TEST_F(PageTest, IsSeenWithoutAKeyAndCanDoNothingWithoutOne) {
  config_.keys = AccessKeys::parse("secret", "test").value();
  RawClient client(start());
  for (const PageFile& file : page_files())
    EXPECT_EQ(client.ask(get(path_of(file))).result_int(), 200u) << file.name;
  for (const std::string& refused : {get("/v1/models"), get("/page/nothing"), post("/", "{}")})
    EXPECT_EQ(RawClient(server_->port()).ask(refused).result_int(), 401u) << refused;
}

}  // namespace
}  // namespace rubato::testing
