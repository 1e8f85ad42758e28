// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
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

// Owns calls in progress. Destruction cancels them and waits until each has reported, which gRPC
// does at once.
//
// gRPC ends its callback threads, and joins them, with the last channel of the process. A callback
// that released that channel would have its thread join itself and free the queue it runs on. So a
// call's state is never released by its own callback: the one that ended last stays here until the
// next one ends or the owner goes. Thread-safe; destroyed on no gRPC thread.
class CallTracker {
 public:
  ~CallTracker();
  // `context` is part of `call`.
  void Add(std::shared_ptr<void> call, grpc::ClientContext* context);
  // The last thing a callback does; its call may be gone afterwards.
  void Remove(grpc::ClientContext* context);

 private:
  std::mutex mutex_;  // calls end on gRPC's threads
  std::condition_variable changed_;
  std::map<grpc::ClientContext*, std::shared_ptr<void>> calls_;
  std::shared_ptr<void> last_;
};

}  // namespace aliquot::rpc
