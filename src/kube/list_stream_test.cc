// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/list_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "kube/answers.h"

namespace aliquot::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<ListPage> Decode(std::string_view text, Excerpt excerpt = {}) {
  ListDecoder decoder(std::move(excerpt));
  if (Status status = decoder.Feed(text); !status.ok()) return status.error();
  return decoder.Finish();
}

// The name alone.
Object Name(const Object& object) { return {{"name", MetadataText(object, "name")}}; }

constexpr char kNodeList[] = R"({"kind": "NodeList", "apiVersion": "v1",
    "metadata": {"resourceVersion": "7", "continue": "c", "remainingItemCount": 3},
    "items": [{"metadata": {"name": "a\"]}"}, "spec": {"items": [1, {"b": "\\"}]}} , {
    "metadata": {"name": "b"}, "kind": "Other"}]})";

TEST(ListDecoder, GivesItemsTheirKind) {
  const auto page = Decode(kNodeList);
  ASSERT_TRUE(page.ok()) << page.error().message;
  ASSERT_EQ(page->items.size(), 2u);
  EXPECT_EQ(MetadataText(page->items[0], "name"), "a\"]}");
  EXPECT_EQ(page->items[0].at("kind"), boost::json::value("Node"));
  EXPECT_EQ(page->items[0].at("apiVersion"), boost::json::value("v1"));
  EXPECT_EQ(page->items[1].at("kind"), boost::json::value("Other"));
  EXPECT_EQ(page->version, "7");
  EXPECT_EQ(page->next, "c");
}

// Custom resources come with their fields in alphabetical order.
TEST(ListDecoder, TakesTheFieldsInAnyOrder) {
  const auto page = Decode(R"({"apiVersion": "example.com/v1", "items": [{"a": 1}],
                               "kind": "ThingList", "metadata": {"resourceVersion": "8"}})");
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(page->items[0],
            boost::json::parse(R"({"a": 1, "kind": "Thing", "apiVersion": "example.com/v1"})"));
  EXPECT_EQ(page->version, "8");
  EXPECT_EQ(page->next, "");
}

TEST(ListDecoder, MayBeEmpty) {
  for (const char* empty : {R"({"items": null})", R"({"items": []})", R"({"items":[ ]})"}) {
    const auto page = Decode(empty);
    ASSERT_TRUE(page.ok()) << empty;
    EXPECT_TRUE(page->items.empty());
  }
}

TEST(ListDecoder, MeansTheSameWhereverTheBytesAreCut) {
  const std::string_view text = kNodeList;
  const auto whole = Decode(text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    ListDecoder decoder({});
    ASSERT_TRUE(decoder.Feed(text.substr(0, cut)).ok());
    ASSERT_TRUE(decoder.Feed(text.substr(cut)).ok());
    const auto page = decoder.Finish();
    ASSERT_TRUE(page.ok()) << cut;
    EXPECT_EQ(page->items, whole->items) << cut;
    EXPECT_EQ(page->next, "c");
  }
}

// What the memory of a listing depends on: an object is whole only until its last byte has come.
TEST(ListDecoder, MakesExcerptsAsItemsEnd) {
  const std::string_view text = kNodeList;
  const std::size_t first_end = text.find(" , {");
  const std::size_t second_end = text.rfind("]}");
  std::size_t excerpts = 0;
  ListDecoder decoder([&](const Object& object) {
    ++excerpts;
    return Name(object);
  });
  for (std::size_t i = 0; i < text.size(); ++i) {
    ASSERT_TRUE(decoder.Feed(text.substr(i, 1)).ok());
    const std::size_t seen = i + 1;
    ASSERT_EQ(excerpts, (seen >= first_end ? 1u : 0u) + (seen >= second_end ? 1u : 0u)) << i;
  }
  const auto page = decoder.Finish();
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(page->items, ElementsAre(Object{{"name", "a\"]}"}}, Object{{"name", "b"}}));
}

TEST(ListDecoder, AnExcerptMayBeThatOfAnObjectItWasGiven) {
  const auto page = Decode(kNodeList, [](const Object& object) { return object; });
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->items[1], boost::json::parse(R"({"metadata": {"name": "b"}, "kind": "Other"})"));
  EXPECT_FALSE(page->items[0].contains("kind"));
}

TEST(ListDecoder, RefusesWhatIsNoList) {
  for (const char* bad : {"",
                          "[]",
                          "{}",
                          "<html>",
                          "null",
                          R"({"items": {}})",
                          R"({"items": [1]})",
                          R"({"items": [{} {}]})",
                          R"({"items": [{},]})",
                          R"({"items": [,{}]})",
                          R"({"items": [{}})",
                          R"({"items": [{]})",
                          R"({"items": [{}]]})",
                          R"({"items": [{}]} {})",
                          R"({"items": [{}], "items": [{}]})",
                          R"({"items": [{}], "it\u0065ms": []})",
                          R"({"items": [{"a": b}]})",
                          R"(["items": [{}]])",
                          R"({"items": [{}], "kind": )",
                          R"({"it\u0065ms": [{}]})",
                          R"({"items" [{}]})"}) {
    EXPECT_EQ(Decode(bad).error().code, Code::kDataLoss) << bad;
    EXPECT_EQ(Decode(bad, Name).error().code, Code::kDataLoss) << bad;
  }
}

TEST(ListDecoder, IsLimitedInSizeOnlyByTheItem) {
  const std::string part(1u << 20, 'x');
  ListDecoder decoder([](const Object&) { return Object(); });
  ASSERT_TRUE(decoder.Feed(R"({"items": [)").ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(decoder.Feed(i == 0 ? R"({"a": ")" : R"(, {"a": ")").ok());
    ASSERT_TRUE(decoder.Feed(part).ok());
    ASSERT_TRUE(decoder.Feed(R"("})").ok());
  }
  ASSERT_TRUE(decoder.Feed(R"(, {"a": ")").ok());
  Status status;
  for (int i = 0; i < 8 && status.ok(); ++i) status = decoder.Feed(part);
  EXPECT_EQ(status.error().code, Code::kResourceExhausted);
  EXPECT_THAT(status.error().message, HasSubstr("longer than 8388608 bytes"));
}

TEST(ListDecoder, IsLimitedInWhatIsNoItem) {
  ListDecoder decoder({});
  ASSERT_TRUE(decoder.Feed(R"({"kind": ")").ok());
  EXPECT_EQ(decoder.Feed(std::string(1u << 20, 'x')).error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace aliquot::kube
