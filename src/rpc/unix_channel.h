// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/status.h"

// Shared by the clients of unix sockets. Included only within rpc/.
namespace aliquot::rpc {

// A channel of its own to the unix socket at an absolute path: no connection, back-off state or
// limit is shared with other channels, so that a restarted peer is dialled at once.
std::shared_ptr<grpc::Channel> UnixChannel(const std::string& path, int max_receive_bytes);

// A deadline from now that a step of the wall clock does not move.
void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds from_now);

Status FromGrpc(const grpc::Status& status);

// Calls in progress. Destruction cancels them and waits until each has reported, which gRPC does at
// once. Thread-safe.
class CallTracker {
 public:
  ~CallTracker();
  void Add(grpc::ClientContext* context);
  void Remove(grpc::ClientContext* context);

 private:
  std::mutex mutex_;  // calls end on gRPC's threads
  std::condition_variable changed_;
  std::set<grpc::ClientContext*> calls_;
};

}  // namespace aliquot::rpc
