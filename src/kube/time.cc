// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/time.h"

#include <fmt/format.h>

#include "base/text.h"

namespace aliquot::kube {
namespace {

namespace chrono = std::chrono;

std::string FormatSeconds(chrono::system_clock::time_point time) {
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(chrono::floor<chrono::seconds>(time - day));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

// The `size` digits at `at`; nothing if they are not digits.
std::optional<unsigned> Digits(std::string_view text, std::size_t at, std::size_t size) {
  const auto value = ParseUnsigned(text.substr(at, size));
  if (!value) return {};
  return static_cast<unsigned>(*value);
}

}  // namespace

std::string FormatTime(chrono::system_clock::time_point time) { return FormatSeconds(time) + "Z"; }

std::string FormatMicroTime(chrono::system_clock::time_point time) {
  const auto rest = time - chrono::floor<chrono::seconds>(time);
  return fmt::format("{}.{:06}Z", FormatSeconds(time),
                     chrono::duration_cast<chrono::microseconds>(rest).count());
}

std::optional<chrono::system_clock::time_point> ParseTime(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  if (text.size() < kShape.size() + 1 || text.back() != 'Z') return {};
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] != '0' && text[i] != kShape[i]) return {};
  }
  const auto year = Digits(text, 0, 4);
  const auto month = Digits(text, 5, 2);
  const auto day = Digits(text, 8, 2);
  const auto hour = Digits(text, 11, 2);
  const auto minute = Digits(text, 14, 2);
  const auto second = Digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return {};
  const chrono::year_month_day date(chrono::year(static_cast<int>(*year)), chrono::month(*month),
                                    chrono::day(*day));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return {};
  std::string_view fraction = text.substr(kShape.size());
  fraction.remove_suffix(1);
  chrono::nanoseconds rest{0};
  if (!fraction.empty()) {
    if (fraction[0] != '.' || fraction.size() < 2 || fraction.size() > 10) return {};
    std::string nanos(fraction.substr(1));
    nanos.resize(9, '0');
    const auto value = ParseUnsigned(nanos);
    if (!value) return {};
    rest = chrono::nanoseconds(*value);
  }
  return chrono::system_clock::time_point(chrono::sys_days(date)) + chrono::hours(*hour) +
         chrono::minutes(*minute) + chrono::seconds(*second) +
         chrono::duration_cast<chrono::system_clock::duration>(rest);
}

}  // namespace aliquot::kube
