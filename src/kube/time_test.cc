// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/time.h"

#include <gtest/gtest.h>

namespace aliquot::kube {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using TimePoint = std::chrono::system_clock::time_point;

TEST(KubeTime, WritesAndReadsBothFormats) {
  const TimePoint time = TimePoint(seconds(1'700'000'000)) + microseconds(1234);
  EXPECT_EQ(FormatTime(time), "2023-11-14T22:13:20Z");
  EXPECT_EQ(FormatMicroTime(time), "2023-11-14T22:13:20.001234Z");
  EXPECT_EQ(ParseTime(FormatMicroTime(time)), time);
  EXPECT_EQ(ParseTime(FormatTime(time)), TimePoint(seconds(1'700'000'000)));
}

TEST(KubeTime, RefusesWhatIsNotATime) {
  for (const char* text : {"", "Z", "2023-11-14", "2023-11-14T22:13:20", "2023-13-14T22:13:20Z",
                           "2023-02-30T00:00:00Z", "2023-11-14T24:00:00Z", "2023-11-14T22:13:20.Z",
                           "2023-11-14T22:13:20.1234567890Z", "2023-11-14T22:13:20+01:00",
                           "2023-11-14 22:13:20Z", "-023-11-14T22:13:20Z"}) {
    EXPECT_FALSE(ParseTime(text)) << text;
  }
}

}  // namespace
}  // namespace aliquot::kube
