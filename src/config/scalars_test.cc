// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/scalars.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace aliquot::config {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsReadAsInGo) {
  const std::pair<const char*, std::chrono::nanoseconds> rows[] = {
      {"90s", 90s},
      {"1h30m", 90min},
      {"1.5h", 90min},
      {"-2ms", -2ms},
      {"0", 0ns},
      {"+5us", 5us},
      {".5s", 500ms},
      {"1h2m3s4ms5us6ns", 1h + 2min + 3s + 4ms + 5us + 6ns},
      {"1.s", 1s},
      {"3\xc2\xb5s", 3us},
      {"0.1000000000000000000001s", 100ms},
      {"2540400h", 2540400h}};
  for (const auto& [text, expected] : rows) {
    const auto duration = ParseDuration(text);
    ASSERT_TRUE(duration.ok()) << text << duration.error().message;
    EXPECT_EQ(**duration, expected) << text;
  }
  EXPECT_EQ(*ParseDuration("infinite"), std::nullopt);
}

TEST(Duration, RefusesWhatGoRefuses) {
  for (const char* text :
       {"", "-", "60", "5 minutes", "s", ".s", "1d", "1sec", "1h2", "9999999999h",
        "99999999999999999999s", "1e3s", "Infinite", " 1s", "1s "}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(Duration, IsPrintedAsInGo) {
  const std::pair<Duration, const char*> rows[] = {{60s, "1m0s"},
                                                   {90min, "1h30m0s"},
                                                   {1500ms, "1.5s"},
                                                   {250ms, "250ms"},
                                                   {60ns, "60ns"},
                                                   {1500ns, "1.5us"},
                                                   {0ns, "0s"},
                                                   {-90s, "-1m30s"},
                                                   {1h + 1ns, "1h0m0.000000001s"},
                                                   {std::nullopt, "infinite"}};
  for (const auto& [duration, expected] : rows) EXPECT_EQ(FormatDuration(duration), expected);
}

TEST(Duration, SurvivesPrintingAndReading) {
  EXPECT_TRUE(rc::check([] {
    const std::chrono::nanoseconds duration(
        *rc::gen::inRange<std::int64_t>(-(1ll << 62), 1ll << 62));
    RC_ASSERT(*ParseDuration(FormatDuration(duration)) == Duration(duration));
  }));
}

TEST(Bool, TakesTheWordsOfGo) {
  for (const char* text : {"1", "t", "T", "TRUE", "true", "True"})
    EXPECT_EQ(ParseBool(text), true) << text;
  for (const char* text : {"0", "f", "F", "FALSE", "false", "False"})
    EXPECT_EQ(ParseBool(text), false) << text;
  for (const char* text : {"", "yes", "tRue", "2", " 1"}) EXPECT_FALSE(ParseBool(text)) << text;
}

TEST(Bytes, TakeQuantities) {
  EXPECT_EQ(*ParseBytes("4Gi"), 4ull << 30);
  EXPECT_EQ(*ParseBytes("1.5Ki"), 1536u);
  EXPECT_EQ(*ParseBytes("3M"), 3'000'000u);
  EXPECT_EQ(*ParseBytes("17"), 17u);
  for (const char* text : {"", "Gi", "4GB", "-1", "4 Gi", "4gi", "99999999999Ti", "1.2.3"}) {
    EXPECT_FALSE(ParseBytes(text).ok()) << text;
  }
}

}  // namespace
}  // namespace aliquot::config
