// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/unix_channel.h"

#include <grpc/support/time.h>

#include <utility>

namespace aliquot::rpc {

std::shared_ptr<grpc::Channel> UnixChannel(const std::string& path, int max_receive_bytes) {
  grpc::ChannelArguments arguments;
  // What this version sends anyway; later ones would send the escaped path, which strict peers
  // refuse (gRPC issue 38142).
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxReceiveMessageSize(max_receive_bytes);
  return grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), arguments);
}

void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds from_now) {
  context.set_deadline(gpr_time_from_millis(from_now.count(), GPR_TIMESPAN));
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return {};
  return Error{static_cast<Code>(status.error_code()), status.error_message()};
}

CallTracker::~CallTracker() {
  std::unique_lock lock(mutex_);
  for (const auto& [context, call] : calls_) context->TryCancel();
  changed_.wait(lock, [this] { return calls_.empty(); });
}

void CallTracker::Add(std::shared_ptr<void> call, grpc::ClientContext* context) {
  std::lock_guard lock(mutex_);
  calls_.emplace(context, std::move(call));
}

void CallTracker::Remove(grpc::ClientContext* context) {
  std::lock_guard lock(mutex_);
  const auto it = calls_.find(context);
  last_ = std::move(it->second);
  calls_.erase(it);
  changed_.notify_all();
}

}  // namespace aliquot::rpc
