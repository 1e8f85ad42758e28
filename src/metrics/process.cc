// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics/process.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::metrics {
namespace {

// Positions in /proc/self/stat counted from the state, which follows the command's name.
enum StatField {
  kUserTicks = 11,
  kSystemTicks = 12,
  kThreads = 17,
  kStartTicks = 19,
  kVirtualBytes = 20,
  kResidentPages = 21,
  kFieldsNeeded = 22
};

std::optional<double> BootTime(const std::string& proc) {
  const Result<std::string> stat = ReadFile(proc + "/stat");
  if (!stat.ok()) return std::nullopt;
  const std::size_t at = stat->find("\nbtime ");
  if (at == std::string::npos) return std::nullopt;
  const std::string_view rest = std::string_view(*stat).substr(at + 7);
  const auto seconds = ParseUnsigned(rest.substr(0, rest.find('\n')));
  return seconds ? std::optional(static_cast<double>(*seconds)) : std::nullopt;
}

std::uint64_t CountDescriptors(const std::string& proc) {
  std::uint64_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(proc + "/self/fd", error), end; !error && it != end;
       it.increment(error)) {
    ++count;
  }
  return count > 0 ? count - 1 : 0;  // one is the directory being read
}

}  // namespace

Result<ProcessStats> ReadProcessStats(const std::string& proc) {
  const Result<std::string> stat = ReadFile(proc + "/self/stat");
  if (!stat.ok()) return stat.error();
  // The name is in parentheses and may contain anything, parentheses too.
  const std::size_t name_end = stat->rfind(") ");
  std::vector<std::uint64_t> fields;
  if (name_end != std::string::npos) {
    for (const std::string& field : Split(Trim(stat->substr(name_end + 2)), ' ')) {
      fields.push_back(ParseUnsigned(field).value_or(0));
    }
  }
  if (fields.size() < kFieldsNeeded) {
    return Error{Code::kInternal, fmt::format("cannot read {}/self/stat: too few fields", proc)};
  }
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  ProcessStats out;
  out.resident_bytes = fields[kResidentPages] * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  out.virtual_bytes = fields[kVirtualBytes];
  out.threads = fields[kThreads];
  out.cpu_seconds = static_cast<double>(fields[kUserTicks] + fields[kSystemTicks]) / ticks;
  out.open_descriptors = CountDescriptors(proc);
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    out.max_descriptors = limit.rlim_cur;
  }
  const double since_boot = static_cast<double>(fields[kStartTicks]) / ticks;
  out.start_time_seconds = BootTime(proc).value_or(0) + since_boot;
  return out;
}

void AddProcessMetrics(Registry& registry, const std::string& proc) {
  Counter& cpu = registry.AddCounter(
      {"process_cpu_seconds_total", "CPU time used, user and system, in seconds.", {}});
  Gauge& resident = registry.AddGauge(
      {"process_resident_memory_bytes", "Resident memory of the agent in bytes.", {}});
  Gauge& virtual_memory = registry.AddGauge(
      {"process_virtual_memory_bytes", "Address space of the agent in bytes.", {}});
  Gauge& threads = registry.AddGauge({"process_threads", "Threads of the agent.", {}});
  Gauge& open = registry.AddGauge({"process_open_fds", "Open file descriptors.", {}});
  Gauge& max =
      registry.AddGauge({"process_max_fds", "Most file descriptors the agent may open.", {}});
  Gauge& start = registry.AddGauge(
      {"process_start_time_seconds", "Start of the agent, seconds since the Unix epoch.", {}});
  registry.OnScrape([&, proc] {
    const Result<ProcessStats> stats = ReadProcessStats(proc);
    if (!stats.ok()) return;  // the last values stay; a process without procfs has none
    cpu.SetTotal(stats->cpu_seconds);
    resident.Set(static_cast<double>(stats->resident_bytes));
    virtual_memory.Set(static_cast<double>(stats->virtual_bytes));
    threads.Set(static_cast<double>(stats->threads));
    open.Set(static_cast<double>(stats->open_descriptors));
    if (stats->max_descriptors != 0) max.Set(static_cast<double>(stats->max_descriptors));
    start.Set(stats->start_time_seconds);
  });
}

}  // namespace aliquot::metrics
