// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// What processes ask about memory.
#include <algorithm>

#include "arbiter/server_state.h"

namespace aliquot::arbiter {
namespace {

// A process may have given memory back and told its sibling so before we read of it: a no is only
// said after everything that was sent until now was read.
constexpr Nanos kSecondThought = std::chrono::milliseconds(1);

}  // namespace

std::uint64_t Server::ContextBytes(const std::string& uuid) const {
  const auto seen = context_bytes_.find(uuid);
  return seen == context_bytes_.end() ? options_.context_bytes : seen->second;
}

void Server::OnReserve(Session& session, const aliquot_reserve& request) {
  if (!session.uses_gpu) return Misbehaved(session, "a reservation by an observer");
  Grant& grant = *session.grant;
  const std::uint64_t id = session.id;
  const Reservation::Outcome outcome = TryReserve(session, request, true);
  if (outcome == Reservation::Outcome::kGranted) return;
  // A process asks one thing at a time; more would be an attempt to make us remember without bound.
  const auto waiting =
      std::count_if(grant.pending.begin(), grant.pending.end(),
                    [id](const Pending& pending) { return pending.session == id; });
  if (waiting >= 4) return Misbehaved(session, "many reservations at once");
  const Nanos wait =
      outcome == Reservation::Outcome::kWait ? options_.reserve_wait : kSecondThought;
  grant.pending.push_back({id, request, MonotonicNow() + wait});
}

// Answers, unless the answer would be no and it may wait.
Reservation::Outcome Server::TryReserve(Session& session, const aliquot_reserve& request,
                                        bool may_wait) {
  Grant& grant = *session.grant;
  const bool context = request.kind == ALIQUOT_KIND_CONTEXT;
  std::uint64_t bytes = request.bytes;
  if (context && bytes == 0) bytes = ContextBytes(grant.spec.devices[request.gpu].uuid);
  const Reservation answer =
      grant.memory.Reserve(session.id, request.gpu, bytes, request.credit, context);
  const bool granted = answer.outcome == Reservation::Outcome::kGranted;
  if (!granted && may_wait) return answer.outcome;
  const std::uint64_t id = session.id;
  bool sent = false;
  if (granted) {
    grant.memory.Publish();
    aliquot_grant frame{};
    frame.header = {ALIQUOT_GRANT, sizeof frame, request.header.id};
    frame.bytes = answer.bytes;
    frame.credit = answer.credit;
    sent = Send(session, &frame, sizeof frame);
  } else {
    grant.memory.CountDenied(request.gpu);
    const Ledger& ledger = grant.memory.ledger(request.gpu);
    aliquot_deny frame{};
    frame.header = {ALIQUOT_DENY, sizeof frame, request.header.id};
    frame.charged = ledger.charged();
    frame.limit = ledger.limit();
    sent = Send(session, &frame, sizeof frame);
  }
  if (!sent) Drop(id);
  return answer.outcome;
}

void Server::OnAmount(Session& session, const aliquot_amount& amount, std::uint16_t type) {
  Grant& grant = *session.grant;
  if (!session.uses_gpu) return Misbehaved(session, "memory held by an observer");
  if (type == ALIQUOT_CHARGE) {
    grant.memory.Charge(session.id, amount.gpu, amount.bytes);
  } else if (!grant.memory.Release(session.id, amount.gpu, amount.bytes)) {
    return Misbehaved(session, "a release of more than it held");
  } else {
    RetryPending(grant, MonotonicNow());
  }
  grant.memory.Publish();
}

void Server::RetryPending(Grant& grant, Nanos now) {
  // In order of arrival; taken out first, because an answer that cannot be sent ends its session.
  std::deque<Pending> waiting;
  waiting.swap(grant.pending);
  for (Pending& pending : waiting) {
    const auto session = sessions_.find(pending.session);
    if (session == sessions_.end()) continue;
    const bool may_wait = now < pending.deadline;
    const Reservation::Outcome outcome = TryReserve(*session->second, pending.request, may_wait);
    if (outcome == Reservation::Outcome::kGranted || !may_wait) continue;
    // Nothing is left to wait for.
    if (outcome == Reservation::Outcome::kDenied) {
      pending.deadline = std::min(pending.deadline, now + kSecondThought);
    }
    grant.pending.push_back(pending);
  }
}

void Server::OnList(Session& session, const aliquot_list& request) {
  const Grant& grant = *session.grant;
  aliquot_processes answer{};
  answer.header = {ALIQUOT_PROCESSES, sizeof answer, request.header.id};
  std::uint32_t index = 0;
  for (const std::uint64_t id : grant.sessions) {
    const Session& other = *sessions_.at(id);
    if (!other.greeted || !other.uses_gpu) continue;
    ++answer.total;
    if (index++ < request.first || answer.count == ALIQUOT_LIST_ENTRIES) continue;
    aliquot_process& entry = answer.entry[answer.count++];
    entry.pid = other.container_pid;
    entry.used = grant.memory.ledger(request.gpu).used(id);
  }
  const std::uint64_t id = session.id;
  if (!Send(session, &answer, sizeof answer)) Drop(id);
}

}  // namespace aliquot::arbiter
