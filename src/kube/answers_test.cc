// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "kube/watch_stream.h"

namespace aliquot::kube {
namespace {

using testing::HasSubstr;

TEST(KubePaths, FollowGroupNamespaceAndSubresource) {
  EXPECT_EQ(*CollectionPath(kNodes, ""), "/api/v1/nodes");
  EXPECT_EQ(*CollectionPath(kConfigMaps, "ns"), "/api/v1/namespaces/ns/configmaps");
  EXPECT_EQ(*ObjectPath({kClusterPolicies, "", "cluster-policy", "status"}),
            "/apis/nvidia.com/v1/clusterpolicies/cluster-policy/status");
  EXPECT_EQ(*ObjectPath({kNodes, "", "a b?c", ""}), "/api/v1/nodes/a%20b%3Fc");
  for (const char* name : {"", ".", "..", "a/b", "%2e"}) {
    EXPECT_EQ(ObjectPath({kNodes, "", name, ""}).error().code, Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(WithQuery("/x", {{"labelSelector", "a in (b,c)"}, {"limit", "5"}}),
            "/x?labelSelector=a%20in%20%28b%2Cc%29&limit=5");
  EXPECT_EQ(Ref({kClusterPolicies, "", "p", ""}).ToString(), "clusterpolicy p");
  EXPECT_EQ(Ref({kConfigMaps, "ns", "m", ""}).ToString(), "configmap ns/m");
}

TEST(KubeErrors, FollowStatusAndReason) {
  const auto code = [](int status, const char* reason = "") {
    return ErrorOfStatus(status, std::string(R"({"message": "m", "reason": ")") + reason + "\"}")
        .code;
  };
  EXPECT_EQ(code(404), Code::kNotFound);
  EXPECT_EQ(code(409, "Conflict"), Code::kAborted);
  EXPECT_EQ(code(409, "AlreadyExists"), Code::kAlreadyExists);
  EXPECT_EQ(code(401), Code::kUnauthenticated);
  EXPECT_EQ(code(403), Code::kPermissionDenied);
  EXPECT_EQ(code(410), Code::kOutOfRange);
  EXPECT_EQ(code(422), Code::kInvalidArgument);
  EXPECT_EQ(code(400), Code::kInvalidArgument);
  EXPECT_EQ(code(429), Code::kUnavailable);
  EXPECT_EQ(code(503), Code::kUnavailable);
  EXPECT_EQ(code(504), Code::kDeadlineExceeded);
  EXPECT_EQ(code(500), Code::kInternal);
  EXPECT_EQ(code(302), Code::kUnknown);
  EXPECT_EQ(ErrorOfStatus(403, R"({"message": "nodes is forbidden"})").message,
            "nodes is forbidden");
  EXPECT_EQ(ErrorOfStatus(502, "<html>\nbad").message,
            "the server answered with HTTP status 502 and \"<html> bad\"");
  EXPECT_EQ(ErrorOfStatus(Object{{"code", 410}, {"reason", "Expired"}}),
            (Error{Code::kOutOfRange, "Expired"}));
  EXPECT_LE(ErrorOfStatus(500, std::string(R"({"message": ")") + std::string(5000, 'x') + "\"}")
                .message.size(),
            1024u);
}

TEST(KubeErrors, RetryAfterIsSeconds) {
  EXPECT_EQ(RetryAfter("1"), std::chrono::seconds(1));
  EXPECT_EQ(RetryAfter(" 0 "), std::chrono::seconds(0));
  EXPECT_FALSE(RetryAfter(""));
  EXPECT_FALSE(RetryAfter("-1"));
  EXPECT_FALSE(RetryAfter("999999999"));
  EXPECT_FALSE(RetryAfter("Fri, 31 Dec 1999 23:59:59 GMT"));
}

TEST(KubeJson, IsLimitedInDepth) {
  EXPECT_TRUE(ParseJson(std::string(100, '[') + std::string(100, ']')).ok());
  EXPECT_FALSE(ParseJson(std::string(200, '[') + std::string(200, ']')).ok());
  EXPECT_FALSE(ParseJson("{} {}").ok());
  EXPECT_FALSE(ParseJson("").ok());
}

TEST(WatchDecoder, CutsLinesWhereverTheBytesAreCut) {
  const std::string stream =
      "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n\r\n{\"type\":\"BOOKMARK\",\"object\":{}}\n{\"ty";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    WatchDecoder decoder;
    std::vector<WatchEvent> events;
    ASSERT_TRUE(decoder.Feed(stream.substr(0, cut), events).ok());
    ASSERT_TRUE(decoder.Feed(stream.substr(cut), events).ok());
    ASSERT_EQ(events.size(), 2u) << cut;
    EXPECT_EQ(events[0].type, "ADDED");
    EXPECT_EQ(events[0].object.at("a"), boost::json::value(1));
  }
}

TEST(WatchDecoder, TellsTheVersionOfWhatTheExcerptLeavesOut) {
  WatchDecoder decoder([](const Object& object) { return Object{{"was", object.size()}}; });
  std::vector<WatchEvent> events;
  for (const char* type : {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"}) {
    const Object event = {{"type", type}, {"object", {{"metadata", {{"resourceVersion", type}}}}}};
    ASSERT_TRUE(decoder.Feed(boost::json::serialize(event) + "\n", events).ok());
    EXPECT_EQ(events.back().version, type);
    const bool whole = events.size() > 3;
    EXPECT_EQ(events.back().object.contains("metadata"), whole) << type;
    EXPECT_EQ(events.back().object.contains("was"), !whole) << type;
  }
}

TEST(WatchDecoder, RefusesWhatIsNoEvent) {
  for (const char* line : {"<html>", "[]", "{\"type\":1,\"object\":{}}", "{\"type\":\"ADDED\"}",
                           "{\"type\":\"ADDED\",\"object\":[]}"}) {
    WatchDecoder decoder;
    std::vector<WatchEvent> events;
    EXPECT_EQ(decoder.Feed(std::string(line) + "\n", events).error().code, Code::kDataLoss) << line;
  }
  WatchDecoder decoder;
  std::vector<WatchEvent> events;
  const std::string part(1u << 20, 'x');
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(decoder.Feed(part, events).ok());
  EXPECT_EQ(decoder.Feed("x", events).error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace aliquot::kube
