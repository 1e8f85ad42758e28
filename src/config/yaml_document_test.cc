// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_document.h"

#include <gtest/gtest.h>

#include <limits>

#include "config/config_test_util.h"

namespace aliquot::config {
namespace {

using Kind = Node::Kind;

struct Parsed {
  NodePtr root;
  std::string problems;
};

Parsed Parse(std::string_view text) {
  Problems problems;
  NodePtr root = ParseYaml(text, problems);
  return {root, Listing(std::move(problems).Take())};
}

NodePtr Value(std::string_view text) {
  const Parsed parsed = Parse("k: " + std::string(text));
  if (parsed.root == nullptr || parsed.root->entries.size() != 1) {
    ADD_FAILURE() << text << "\n" << parsed.problems;
    return std::make_shared<Node>();
  }
  return parsed.root->entries[0].value;
}

TEST(YamlScalar, AreTypedAsYaml11) {
  for (const char* text :
       {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}) {
    EXPECT_EQ(Value(text)->kind, Kind::kBool) << text;
    EXPECT_TRUE(Value(text)->boolean) << text;
  }
  for (const char* text :
       {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}) {
    EXPECT_EQ(Value(text)->kind, Kind::kBool) << text;
    EXPECT_FALSE(Value(text)->boolean) << text;
  }
  for (const char* text : {"~", "null", "Null", "NULL", ""}) {
    EXPECT_EQ(Value(text)->kind, Kind::kNull) << text;
  }
  for (const char* text :
       {"yEs",     "tRUE", "nUll",    "oN",         "1.2.3", "0x",  "0b",  "+",
        ".",       "1e",   "0xg",     "2001-12-14", "GPU-1", "a",   "'4'", "\"4\"",
        "\"yes\"", "''",   "!!str 4", "! 4",        "1__a",  "--1", "1 2", "!custom 4"}) {
    EXPECT_EQ(Value(text)->kind, Kind::kString) << text;
  }
}

TEST(YamlScalar, ReadIntegersOfEveryBase) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"4", 4},
      {"-4", -4},
      {"+4", 4},
      {"0", 0},
      {"0x10", 16},
      {"0X1f", 31},
      {"0o17", 15},
      {"010", 8},
      {"08", 8},
      {"0b101", 5},
      {"-0b101", -5},
      {"1_000", 1000},
      {"0x_ff", 255},
      {"4.0", 4},
      {"4.", 4},
      {"1e3", 1000},
      {"1_0.0", 10},
      {"!!int 7", 7},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
      {"-9223372036854775808", std::numeric_limits<std::int64_t>::min()}};
  for (const auto& [text, value] : cases) {
    EXPECT_EQ(Value(text)->kind, Kind::kInteger) << text;
    EXPECT_EQ(Value(text)->integer, value) << text;
  }
  for (const char* text :
       {"4.5", ".5", "-.5", "1e-3", "9223372036854775808", "1e40", "99999999999999999999999999"}) {
    EXPECT_EQ(Value(text)->kind, Kind::kFloat) << text;
  }
}

TEST(YamlDocument, KnowsWhereThingsAre) {
  const Parsed parsed = Parse("# comment\na:\n  - x\n  - {k: v}\nb: 'q'\n");
  ASSERT_NE(parsed.root, nullptr);
  const Node& map = *parsed.root;
  ASSERT_EQ(map.entries.size(), 2u);
  EXPECT_EQ(map.entries[0].position, (Position{2, 1}));
  EXPECT_EQ(map.entries[0].value->items[0]->position, (Position{3, 5}));
  EXPECT_EQ(map.entries[0].value->items[1]->entries[0].value->position, (Position{4, 9}));
  EXPECT_EQ(map.entries[1].value->position, (Position{5, 4}));
  EXPECT_TRUE(map.entries[1].value->quoted);
}

TEST(YamlDocument, CountsCharactersNotBytes) {
  const Parsed parsed = Parse("\"\xc3\xa4\xc3\xb6\": x\n");
  ASSERT_NE(parsed.root, nullptr) << parsed.problems;
  EXPECT_EQ(parsed.root->entries[0].value->position, (Position{1, 7}));
}

TEST(YamlDocument, TakesByteOrderMarkAndCarriageReturns) {
  const Parsed parsed = Parse(
      "\xef\xbb\xbf"
      "a: 1\r\nb:\r\n  c: x\r\n");
  ASSERT_NE(parsed.root, nullptr) << parsed.problems;
  ASSERT_EQ(parsed.root->entries.size(), 2u);
  EXPECT_EQ(parsed.root->entries[0].value->integer, 1);
  EXPECT_EQ(parsed.root->entries[0].position, (Position{1, 1}));
  EXPECT_EQ(parsed.root->entries[1].value->entries[0].value->text, "x");
  EXPECT_EQ(parsed.root->entries[1].value->entries[0].value->position, (Position{3, 6}));
}

TEST(YamlDocument, TakesJsonWithTabs) {
  const Parsed parsed =
      Parse("{\n\t\"a\":\t[1,\"2\",true,null],\n\t\"b\":{\"c\":\"\\u0041\"}\n}\n");
  ASSERT_NE(parsed.root, nullptr) << parsed.problems;
  EXPECT_EQ(parsed.root->entries[0].value->items.size(), 4u);
  EXPECT_EQ(parsed.root->entries[0].value->items[1]->kind, Kind::kString);
  EXPECT_EQ(parsed.root->entries[1].value->entries[0].value->text, "A");
}

TEST(YamlDocument, KeepsDuplicateKeysInOrder) {
  const Parsed parsed = Parse("a: 1\na: 2\n");
  ASSERT_NE(parsed.root, nullptr);
  ASSERT_EQ(parsed.root->entries.size(), 2u);
  EXPECT_EQ(parsed.root->entries[1].value->integer, 2);
}

TEST(YamlDocument, ResolvesAnchorsAndMergeKeys) {
  const Parsed parsed =
      Parse("base: &b {x: 1, y: 2}\nother: &o {x: 3}\nuse:\n  <<: [*o, *b]\n  z: 5\nsame: *b\n");
  ASSERT_NE(parsed.root, nullptr) << parsed.problems;
  const Node& use = *parsed.root->entries[2].value;
  ASSERT_EQ(use.entries.size(), 4u);
  EXPECT_EQ(use.entries[0].key, "x");
  EXPECT_TRUE(use.entries[0].merged);
  EXPECT_EQ(use.entries[2].value->integer, 3) << "the first map of the list wins, so it comes last";
  EXPECT_EQ(parsed.root->entries[3].value->entries.size(), 2u);
}

TEST(YamlDocument, IsNullWhenEmpty) {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n", "null\n", "---\n...\n"}) {
    const Parsed parsed = Parse(text);
    ASSERT_NE(parsed.root, nullptr) << text << parsed.problems;
    EXPECT_TRUE(parsed.root->is_null()) << text;
    EXPECT_EQ(parsed.problems, "") << text;
  }
}

TEST(YamlDocument, WarnsOfFurtherDocuments) {
  const Parsed parsed = Parse("a: 1\n---\nb: 2\n");
  ASSERT_NE(parsed.root, nullptr);
  EXPECT_NE(parsed.problems.find("only the first document"), std::string::npos);
}

TEST(YamlDocument, RefusesWithPosition) {
  const std::pair<std::string, const char*> cases[] = {
      {"a: [1, 2\n", "not valid YAML"},
      {"a: {b: 1\n", "not valid YAML"},
      {"a: 'x\n", "1:4 error : the closing quote is missing"},
      {"b: 1\na: \"x\\\"\n", "2:4 error : the closing quote is missing"},
      {"a: &n 'it''s\n", "the closing quote is missing"},
      {"a: 'x", "not valid YAML"},
      {"a: *nowhere\n", "not valid YAML"},
      {"a: &x [*x]\n", "1:8 error : this alias stands inside"},
      {"a:\n\tb: 1\n", "(indent with blanks instead of tabs)"},
      {"a: .inf\n", "1:4 error : \".inf\" is not a number that JSON can hold"},
      {"a: !!int x\n", "1:4 error : \"x\" is not a value of type !!int"},
      {"? [1]\n: 2\n", "1:3 error : a list or a map cannot be a key"},
      {"~: 2\n", "1:1 error : this key is empty"},
      {"<<: 5\n", "1:5 error : \"<<\" merges maps only"},
      {std::string("a: \0b\n", 6), "1:4 error : the byte 0x00"},
      {"a: \xff\xfe\n", "1:4 error : the byte 0xff"},
      {"ok: 1\nb: \x01\n", "2:4 error : the byte 0x01"},
      {"\xff\xfe"
       "a",
       "1:1 error : the byte 0xff"},
      {"a: \xed\xa0\x80\n", "the byte 0xed"}};
  for (const auto& [text, expected] : cases) {
    const Parsed parsed = Parse(text);
    EXPECT_EQ(parsed.root, nullptr) << text;
    EXPECT_NE(parsed.problems.find(expected), std::string::npos) << text << "\n" << parsed.problems;
  }
}

TEST(YamlDocument, ResolvesEscapesToUtf8) {
  EXPECT_EQ(Value(R"("a\Nb\_c\Ld\x85\u00e4")")->text,
            "a\xc2\x85"
            "b\xc2\xa0"
            "c\xe2\x80\xa8"
            "d\xc2\x85\xc3\xa4");
}

TEST(YamlDocument, RefusesWhatIsTooBig) {
  EXPECT_NE(Parse(std::string(kMaxFileBytes + 1, ' ')).problems.find("expected at most"),
            std::string::npos);
  for (const std::string& text : {std::string(kMaxFileBytes, '['), std::string(2000, '{'),
                                  std::string(200, '[') + std::string(200, ']')}) {
    EXPECT_EQ(Parse(text).root, nullptr);
  }
  std::string blocks;
  for (int i = 0; i < 150; ++i) blocks += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_NE(Parse(blocks).problems.find("levels deep"), std::string::npos);
}

TEST(YamlDocument, StaysFastAndBriefOnLongLines) {
  std::string text = "flags: {";
  for (int i = 0; i < 20'000; ++i) text += "k" + std::to_string(i) + ": 1, ";
  const ConfigOutcome outcome = ResolveText(text + "}");
  EXPECT_EQ(outcome.diagnostics.size(), Problems::kMostProblems + 1);
  EXPECT_EQ(outcome.diagnostics.back().message, "19000 more problems are not shown");
  EXPECT_TRUE(outcome.config);
  const ConfigOutcome long_number = ResolveText("k: " + std::string(100'000, '9'));
  EXPECT_LT(Listing(long_number.diagnostics).size(), 2000u);
}

TEST(YamlDocument, RefusesAliasBombs) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int j = 0; j < 9; ++j) bomb += ", " + last;
    bomb += "]\n";
  }
  EXPECT_NE(Parse(bomb).problems.find("once the aliases are resolved"), std::string::npos);
  std::string deep = "a0: &a0 [x]\n";
  for (int i = 1; i < 200; ++i) {
    deep += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) +
            "]\n";
  }
  EXPECT_NE(Parse(deep).problems.find("once the aliases are resolved"), std::string::npos);
}

}  // namespace
}  // namespace aliquot::config
