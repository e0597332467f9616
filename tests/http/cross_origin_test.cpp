#include "http/cross_origin.h"

#include <gtest/gtest.h>

namespace rubato {
namespace {

namespace http = boost::beast::http;

http::fields from(const char* origin) {
  http::fields request;
  request.set(http::field::origin, origin);
  request.set(http::field::access_control_request_headers, "authorization, content-type");
  return request;
}

TEST(CrossOrigin, IsClosedUnlessConfigured) {
  const CrossOrigin closed = CrossOrigin::parse("").value();
  EXPECT_FALSE(closed.open());
  http::fields answer;
  closed.permit_preflight(from("https://a.org"), answer);
  EXPECT_EQ(answer.begin(), answer.end());
}

TEST(CrossOrigin, NamesTheOriginsThatAreAllowedAndNoOthers) {
  const CrossOrigin two = CrossOrigin::parse("https://a.org, http://localhost:3000").value();
  http::fields answer;
  two.permit(from("http://localhost:3000"), answer);
  EXPECT_EQ(answer[http::field::access_control_allow_origin], "http://localhost:3000");
  EXPECT_EQ(answer[http::field::vary], "Origin");
  for (const char* other : {"https://a.org.evil", "http://a.org", "null", ""}) {
    http::fields refused;
    two.permit_preflight(from(other), refused);
    EXPECT_EQ(refused.count(http::field::access_control_allow_origin), 0u) << other;
    EXPECT_EQ(refused.count(http::field::access_control_allow_headers), 0u) << other;
  }
}

TEST(CrossOrigin, AStarAllowsAllOrigins) {
  http::fields answer;
  CrossOrigin::parse("*").value().permit_preflight(from("https://b.org"), answer);
  EXPECT_EQ(answer[http::field::access_control_allow_origin], "https://b.org");
  EXPECT_EQ(answer[http::field::access_control_allow_headers], "authorization, content-type");
  EXPECT_EQ(answer[http::field::access_control_allow_methods], "GET, HEAD, POST");
}

TEST(CrossOrigin, WhatIsNoOriginIsAnErrorThatNamesIt) {
  for (const char* bad : {"a.org", "https://", "https://a.org/", "://a"}) {
    const auto parsed = CrossOrigin::parse(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_NE(parsed.error().message.find(bad), std::string::npos);
  }
}

}  // namespace
}  // namespace rubato
