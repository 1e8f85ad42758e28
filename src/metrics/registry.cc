// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string_view>

namespace aliquot::metrics {
namespace {

// Backslash and newline are escaped everywhere, quotes in label values only.
void AppendEscaped(std::string_view text, bool quotes, std::string& out) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

}  // namespace

std::string FormatValue(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  // Whole numbers in full as long as a double holds them exactly: bytes are read by people.
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::abs(value) <= kExact && value == std::floor(value)) {
    return fmt::to_string(static_cast<std::int64_t>(value));
  }
  return fmt::format("{}", value);
}

LabelValues Family::Padded(LabelValues labels) const {
  labels.resize(descriptor_.labels.size());
  return labels;
}

void Family::AppendHeader(std::string& out) const {
  out += "# HELP " + descriptor_.name + " ";
  AppendEscaped(descriptor_.help, false, out);
  out += "\n# TYPE " + descriptor_.name + " " + type() + "\n";
}

void Family::AppendSample(const char* suffix, const LabelValues& labels, const std::string& extra,
                          double value, std::string& out) const {
  out += descriptor_.name;
  out += suffix;
  if (!labels.empty() || !extra.empty()) {
    char separator = '{';
    for (std::size_t i = 0; i < labels.size(); ++i) {
      out += separator;
      out += descriptor_.labels[i] + "=\"";
      AppendEscaped(labels[i], true, out);
      out += '"';
      separator = ',';
    }
    if (!extra.empty()) {
      out += separator;
      out += extra;
    }
    out += '}';
  }
  out += ' ';
  out += FormatValue(value);
  out += '\n';
}

Counter::Counter(Descriptor descriptor) : Family(std::move(descriptor)) {
  if (this->descriptor().labels.empty()) samples_[{}] = 0;
}

void Counter::Increment(LabelValues labels, double by) {
  std::lock_guard lock(mutex_);
  samples_[Padded(std::move(labels))] += std::max(by, 0.0);
}

void Counter::SetTotal(double total, LabelValues labels) {
  std::lock_guard lock(mutex_);
  samples_[Padded(std::move(labels))] = total;
}

void Counter::Remove(const LabelValues& labels) {
  std::lock_guard lock(mutex_);
  samples_.erase(Padded(labels));
}

void Counter::AppendTo(std::string& out) const {
  std::lock_guard lock(mutex_);
  if (samples_.empty()) return;
  AppendHeader(out);
  for (const auto& [labels, value] : samples_) AppendSample("", labels, "", value, out);
}

void Gauge::Set(double value, LabelValues labels) {
  std::lock_guard lock(mutex_);
  samples_[Padded(std::move(labels))] = value;
}

void Gauge::Remove(const LabelValues& labels) {
  std::lock_guard lock(mutex_);
  samples_.erase(Padded(labels));
}

void Gauge::Replace(Samples samples) {
  Samples padded;
  for (auto& [labels, value] : samples) padded[Padded(labels)] = value;
  std::lock_guard lock(mutex_);
  samples_.swap(padded);
}

void Gauge::AppendTo(std::string& out) const {
  std::lock_guard lock(mutex_);
  if (samples_.empty()) return;
  AppendHeader(out);
  for (const auto& [labels, value] : samples_) AppendSample("", labels, "", value, out);
}

Histogram::Histogram(Descriptor descriptor, std::vector<double> bounds)
    : Family(std::move(descriptor)), bounds_(std::move(bounds)) {
  assert(std::is_sorted(bounds_.begin(), bounds_.end()));
}

void Histogram::Observe(double value, LabelValues labels) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  std::lock_guard lock(mutex_);
  Sample& sample = samples_[Padded(std::move(labels))];
  sample.buckets.resize(bounds_.size() + 1);
  ++sample.buckets[static_cast<std::size_t>(bucket)];
  sample.sum += value;
}

void Histogram::Remove(const LabelValues& labels) {
  std::lock_guard lock(mutex_);
  samples_.erase(Padded(labels));
}

void Histogram::AppendTo(std::string& out) const {
  std::lock_guard lock(mutex_);
  if (samples_.empty()) return;
  AppendHeader(out);
  for (const auto& [labels, sample] : samples_) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < sample.buckets.size(); ++i) {
      count += sample.buckets[i];
      const std::string bound = i < bounds_.size() ? FormatValue(bounds_[i]) : "+Inf";
      AppendSample("_bucket", labels, "le=\"" + bound + "\"", static_cast<double>(count), out);
    }
    AppendSample("_sum", labels, "", sample.sum, out);
    AppendSample("_count", labels, "", static_cast<double>(count), out);
  }
}

template <typename T>
T& Registry::Add(std::unique_ptr<T> family) {
  T& added = *family;
  const bool fresh = families_.emplace(added.descriptor().name, std::move(family)).second;
  assert(fresh && "two metrics of one name");
  (void)fresh;
  return added;
}

Counter& Registry::AddCounter(Descriptor descriptor) {
  return Add(std::make_unique<Counter>(std::move(descriptor)));
}

Gauge& Registry::AddGauge(Descriptor descriptor) {
  return Add(std::make_unique<Gauge>(std::move(descriptor)));
}

Histogram& Registry::AddHistogram(Descriptor descriptor, std::vector<double> bounds) {
  return Add(std::make_unique<Histogram>(std::move(descriptor), std::move(bounds)));
}

std::string Registry::Text() const {
  for (const std::function<void()>& collect : collectors_) collect();
  std::string out;
  for (const auto& [name, family] : families_) family->AppendTo(out);
  return out;
}

std::vector<const Family*> Registry::families() const {
  std::vector<const Family*> out;
  for (const auto& [name, family] : families_) out.push_back(family.get());
  return out;
}

}  // namespace aliquot::metrics
