// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arbiter/wire.h"
#include "base/unique_fd.h"

namespace aliquot::arbiter::testing {

// The process's side of the protocol, as plain as can be. Waits for answers for ten seconds.
class Client {
 public:
  // Null if nobody listens.
  static std::unique_ptr<Client> Connect(const std::string& directory);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends HELLO and takes the pages of the answer. The type of the answer, 0 if the session ended.
  std::uint16_t Hello(std::uint32_t role = ALIQUOT_ROLE_CUDA, std::uint64_t held = 0,
                      std::uint64_t former_epoch = 0, std::uint64_t former_process = 0);
  // Granted bytes; none if denied.
  std::optional<std::uint64_t> Reserve(std::uint32_t gpu, std::uint64_t bytes,
                                       std::uint64_t credit = 0,
                                       std::uint32_t kind = ALIQUOT_KIND_LINEAR);
  void Release(std::uint32_t gpu, std::uint64_t bytes);
  void Charge(std::uint32_t gpu, std::uint64_t bytes);
  void Ring(std::uint16_t type, std::uint32_t gpu);
  std::vector<aliquot_process> List(std::uint32_t gpu);
  bool SendRaw(const void* data, std::size_t size);
  // The type of the next frame; 0 when the server hung up.
  std::uint16_t Receive();
  // Whether the server hung up within ten seconds.
  bool HungUp();

  const aliquot_control& control() const { return *control_; }
  aliquot_status& status() { return *status_; }
  int control_fd() const { return control_fd_.get(); }
  int status_fd() const { return status_fd_.get(); }
  const aliquot_welcome& welcome() const { return welcome_; }

 private:
  explicit Client(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
  UniqueFd control_fd_;
  UniqueFd status_fd_;
  const aliquot_control* control_ = nullptr;
  aliquot_status* status_ = nullptr;
  aliquot_welcome welcome_{};
  alignas(8) unsigned char answer_[ALIQUOT_FRAME_MAX];
  std::uint32_t next_id_ = 1;
};

}  // namespace aliquot::arbiter::testing
