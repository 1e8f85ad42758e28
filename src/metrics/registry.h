// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace aliquot::metrics {

// Label values in the order of Descriptor::labels; missing ones count as empty, extra ones are
// dropped.
using LabelValues = std::vector<std::string>;

struct Descriptor {
  std::string name;  // [a-zA-Z_][a-zA-Z0-9_]*, with its unit, counters end in _total
  std::string help;
  std::vector<std::string> labels;
};

// One metric name with its label sets. Thread-safe: written by the agent, read by the HTTP thread.
class Family {
 public:
  virtual ~Family() = default;
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  const Descriptor& descriptor() const { return descriptor_; }
  virtual const char* type() const = 0;  // as in a TYPE line
  // Appends HELP, TYPE and samples; nothing if there are no samples.
  virtual void AppendTo(std::string& out) const = 0;

 protected:
  explicit Family(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

  LabelValues Padded(LabelValues labels) const;
  void AppendHeader(std::string& out) const;
  // One line: `suffix` follows the name; `extra` is one more label ("le", "0.5"), or empty.
  void AppendSample(const char* suffix, const LabelValues& labels, const std::string& extra,
                    double value, std::string& out) const;

  mutable std::mutex mutex_;  // guards the samples of subclasses

 private:
  const Descriptor descriptor_;
};

// Goes up only. Without labels it exists from the start at 0, as rates need.
class Counter final : public Family {
 public:
  explicit Counter(Descriptor descriptor);
  void Increment(LabelValues labels = {}, double by = 1);
  // For counts that somebody else keeps, such as the kernel.
  void SetTotal(double total, LabelValues labels = {});
  void Remove(const LabelValues& labels);
  const char* type() const override { return "counter"; }
  void AppendTo(std::string& out) const override;

 private:
  std::map<LabelValues, double> samples_;
};

class Gauge final : public Family {
 public:
  using Samples = std::map<LabelValues, double>;

  explicit Gauge(Descriptor descriptor) : Family(std::move(descriptor)) {}
  void Set(double value, LabelValues labels = {});
  void Remove(const LabelValues& labels);
  // Exactly these label sets from now on: what is gone from the node goes from the page.
  void Replace(Samples samples);
  const char* type() const override { return "gauge"; }
  void AppendTo(std::string& out) const override;

 private:
  Samples samples_;
};

class Histogram final : public Family {
 public:
  // `bounds`: upper bounds of the buckets, ascending; +Inf is added.
  Histogram(Descriptor descriptor, std::vector<double> bounds);
  void Observe(double value, LabelValues labels = {});
  void Remove(const LabelValues& labels);
  const char* type() const override { return "histogram"; }
  void AppendTo(std::string& out) const override;

 private:
  struct Sample {
    std::vector<std::uint64_t> buckets;  // not cumulative; one more than bounds_
    double sum = 0;
  };
  const std::vector<double> bounds_;
  std::map<LabelValues, Sample> samples_;
};

// All metrics of the process. Families live as long as the registry. Adding is for start-up, before
// other threads see the registry; Text is thread-safe.
class Registry {
 public:
  // Adding a name twice is a mistake of ours; the page would be refused. A test checks names.
  Counter& AddCounter(Descriptor descriptor);
  Gauge& AddGauge(Descriptor descriptor);
  Histogram& AddHistogram(Descriptor descriptor, std::vector<double> bounds);
  // Runs before every Text, on its thread: for values that are read when asked for.
  void OnScrape(std::function<void()> collect) { collectors_.push_back(std::move(collect)); }

  // The page in the Prometheus text exposition format 0.0.4: families by name, samples by label
  // values; equal states give equal pages.
  std::string Text() const;
  // Sorted by name.
  std::vector<const Family*> families() const;

 private:
  template <typename T>
  T& Add(std::unique_ptr<T> family);

  std::map<std::string, std::unique_ptr<Family>> families_;
  std::vector<std::function<void()>> collectors_;
};

// The Content-Type of Registry::Text.
inline constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

// Labels, so that a dashboard can show a value as written: "+Inf", "0.005", "3".
std::string FormatValue(double value);

}  // namespace aliquot::metrics
