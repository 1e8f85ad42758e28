// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/wire.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::arbiter {
namespace {

// The beginnings of the lines that the page must have, and no others of their kind.
std::set<std::string> Layouts() {
  std::set<std::string> lines;
  std::string current;
#define SIZE(type) \
  current = #type; \
  lines.insert(fmt::format("### `{}`, {} bytes", #type, sizeof(type)))
#define FIELD(type, field)                                                           \
  lines.insert(fmt::format("{}: | {} | {} | `{}` |", current, offsetof(type, field), \
                           sizeof(type::field), #field))
  SIZE(aliquot_control);
  FIELD(aliquot_control, magic);
  FIELD(aliquot_control, version);
  FIELD(aliquot_control, size);
  FIELD(aliquot_control, gpu_count);
  FIELD(aliquot_control, process_id);
  FIELD(aliquot_control, agent_epoch);
  FIELD(aliquot_control, policy);
  FIELD(aliquot_control, stall_ms);
  FIELD(aliquot_control, attention);
  FIELD(aliquot_control, heartbeat);
  FIELD(aliquot_control, gpu);
  SIZE(aliquot_control_gpu);
  FIELD(aliquot_control_gpu, gate);
  FIELD(aliquot_control_gpu, memory);
  SIZE(aliquot_gate);
  FIELD(aliquot_gate, gate);
  FIELD(aliquot_gate, flags);
  FIELD(aliquot_gate, doorbells);
  FIELD(aliquot_gate, cap_us);
  FIELD(aliquot_gate, marker_us);
  FIELD(aliquot_gate, duty_permille);
  SIZE(aliquot_memory);
  FIELD(aliquot_memory, seq);
  FIELD(aliquot_memory, process_count);
  FIELD(aliquot_memory, limit);
  FIELD(aliquot_memory, outside);
  FIELD(aliquot_memory, held);
  FIELD(aliquot_memory, physical_free);
  FIELD(aliquot_memory, credit_target);
  FIELD(aliquot_memory, offline);
  FIELD(aliquot_memory, physical_total);
  SIZE(aliquot_status);
  FIELD(aliquot_status, magic);
  FIELD(aliquot_status, version);
  FIELD(aliquot_status, size);
  FIELD(aliquot_status, markers);
  FIELD(aliquot_status, capturing);
  FIELD(aliquot_status, gate_time_outs);
  FIELD(aliquot_status, stale_passes);
  FIELD(aliquot_status, gpu);
  SIZE(aliquot_status_gpu);
  FIELD(aliquot_status_gpu, service_ns);
  FIELD(aliquot_status_gpu, unmarked_ns);
  FIELD(aliquot_status_gpu, last_submit_ns);
  FIELD(aliquot_status_gpu, launches);
  FIELD(aliquot_status_gpu, waited_ns);
  FIELD(aliquot_status_gpu, idle_since_ns);
  FIELD(aliquot_status_gpu, waiting);
  FIELD(aliquot_status_gpu, gate_seen);
  FIELD(aliquot_status_gpu, learnt_ns);
  FIELD(aliquot_status_gpu, credit);
  FIELD(aliquot_status_gpu, used);
  FIELD(aliquot_status_gpu, host_pinned);
  FIELD(aliquot_status_gpu, denied);
  FIELD(aliquot_status_gpu, over);
  FIELD(aliquot_status_gpu, busy_until_ns);
  FIELD(aliquot_status_gpu, synchronising);
  FIELD(aliquot_status_gpu, polled_ns);
  FIELD(aliquot_status_gpu, issued);
  FIELD(aliquot_status_gpu, cost_ns);
  FIELD(aliquot_status_gpu, done);
  SIZE(aliquot_header);
  FIELD(aliquot_header, type);
  FIELD(aliquot_header, size);
  FIELD(aliquot_header, id);
  SIZE(aliquot_hello);
  FIELD(aliquot_hello, header);
  FIELD(aliquot_hello, magic);
  FIELD(aliquot_hello, version);
  FIELD(aliquot_hello, role);
  FIELD(aliquot_hello, pid);
  FIELD(aliquot_hello, monotonic_ns);
  FIELD(aliquot_hello, cuda_version);
  FIELD(aliquot_hello, gpu_count);
  FIELD(aliquot_hello, former_epoch);
  FIELD(aliquot_hello, former_process_id);
  FIELD(aliquot_hello, name);
  FIELD(aliquot_hello, held);
  SIZE(aliquot_welcome);
  FIELD(aliquot_welcome, header);
  FIELD(aliquot_welcome, version);
  FIELD(aliquot_welcome, gpu_count);
  FIELD(aliquot_welcome, process_id);
  FIELD(aliquot_welcome, agent_epoch);
  FIELD(aliquot_welcome, control_size);
  FIELD(aliquot_welcome, status_size);
  FIELD(aliquot_welcome, uuid);
  SIZE(aliquot_refuse);
  FIELD(aliquot_refuse, header);
  FIELD(aliquot_refuse, reason);
  FIELD(aliquot_refuse, version);
  SIZE(aliquot_reserve);
  FIELD(aliquot_reserve, header);
  FIELD(aliquot_reserve, gpu);
  FIELD(aliquot_reserve, kind);
  FIELD(aliquot_reserve, bytes);
  FIELD(aliquot_reserve, credit);
  SIZE(aliquot_grant);
  FIELD(aliquot_grant, header);
  FIELD(aliquot_grant, bytes);
  FIELD(aliquot_grant, credit);
  SIZE(aliquot_deny);
  FIELD(aliquot_deny, header);
  FIELD(aliquot_deny, charged);
  FIELD(aliquot_deny, limit);
  SIZE(aliquot_amount);
  FIELD(aliquot_amount, header);
  FIELD(aliquot_amount, gpu);
  FIELD(aliquot_amount, kind);
  FIELD(aliquot_amount, bytes);
  SIZE(aliquot_doorbell);
  FIELD(aliquot_doorbell, header);
  FIELD(aliquot_doorbell, gpu);
  FIELD(aliquot_doorbell, gate);
  SIZE(aliquot_event);
  FIELD(aliquot_event, header);
  FIELD(aliquot_event, gpu);
  FIELD(aliquot_event, code);
  FIELD(aliquot_event, value);
  SIZE(aliquot_list);
  FIELD(aliquot_list, header);
  FIELD(aliquot_list, gpu);
  FIELD(aliquot_list, first);
  SIZE(aliquot_processes);
  FIELD(aliquot_processes, header);
  FIELD(aliquot_processes, total);
  FIELD(aliquot_processes, count);
  FIELD(aliquot_processes, entry);
  SIZE(aliquot_process);
  FIELD(aliquot_process, pid);
  FIELD(aliquot_process, used);
#undef FIELD
#undef SIZE
  return lines;
}

// Byte layouts are told twice, for compilers and for people.
TEST(WireProtocol, ThePageTellsTheLayoutsOfTheHeader) {
  const Result<std::string> page = ReadFile("docs/wire-protocol.md");
  ASSERT_TRUE(page.ok());
  std::set<std::string> told;
  std::string current;
  for (const std::string& line : Split(*page, '\n')) {
    if (line.starts_with("### `aliquot_")) {
      current = line.substr(5, line.find('`', 5) - 5);
      told.insert(line);
    } else if (!current.empty() && line.starts_with("| ") && line.find("` |") != line.npos) {
      told.insert(current + ": " + line.substr(0, line.find("` |") + 3));
    }
  }
  EXPECT_EQ(told, Layouts());
}

}  // namespace
}  // namespace aliquot::arbiter
