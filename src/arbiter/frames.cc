// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/frames.h"

#include <fmt/format.h>

#include <cstring>

namespace aliquot::arbiter {
namespace {

template <typename T>
Result<Frame> Read(std::span<const std::byte> bytes) {
  if (bytes.size() != sizeof(T)) {
    return Error{Code::kInvalidArgument,
                 fmt::format("frame of {} bytes, expected {}", bytes.size(), sizeof(T))};
  }
  T frame;
  std::memcpy(&frame, bytes.data(), sizeof(T));
  if constexpr (requires { frame.gpu; }) {
    if (frame.gpu >= ALIQUOT_WIRE_GPUS) {
      return Error{Code::kInvalidArgument,
                   fmt::format("gpu {}, expected below {}", frame.gpu, ALIQUOT_WIRE_GPUS)};
    }
  }
  return Frame(frame);
}

Result<Frame> ReadHello(std::span<const std::byte> bytes) {
  // Every version begins with header, magic and version.
  struct {
    aliquot_header header;
    std::uint32_t magic;
    std::uint32_t version;
  } start;
  if (bytes.size() < sizeof start) {
    return Error{Code::kInvalidArgument, fmt::format("hello of {} bytes", bytes.size())};
  }
  std::memcpy(&start, bytes.data(), sizeof start);
  if (start.magic != ALIQUOT_WIRE_MAGIC) {
    return Error{Code::kInvalidArgument, fmt::format("hello with magic {:#x}", start.magic)};
  }
  if (start.version != ALIQUOT_WIRE_VERSION) {
    return Error{Code::kFailedPrecondition, fmt::format("protocol version {}, expected {}",
                                                        start.version, ALIQUOT_WIRE_VERSION)};
  }
  Result<Frame> frame = Read<aliquot_hello>(bytes);
  if (!frame.ok()) return frame;
  aliquot_hello& hello = std::get<aliquot_hello>(*frame);
  hello.name[sizeof hello.name - 1] = '\0';
  if (hello.role != ALIQUOT_ROLE_CUDA && hello.role != ALIQUOT_ROLE_OBSERVER) {
    return Error{Code::kInvalidArgument, fmt::format("hello with role {}", hello.role)};
  }
  return frame;
}

}  // namespace

Result<Frame> ParseFrame(std::span<const std::byte> bytes) {
  aliquot_header header;
  if (bytes.size() < sizeof header) {
    return Error{Code::kInvalidArgument, fmt::format("frame of {} bytes", bytes.size())};
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.size != bytes.size()) {
    return Error{Code::kInvalidArgument,
                 fmt::format("frame of {} bytes says {}", bytes.size(), header.size)};
  }
  switch (header.type) {
    case ALIQUOT_HELLO:
      return ReadHello(bytes);
    case ALIQUOT_RESERVE:
      return Read<aliquot_reserve>(bytes);
    case ALIQUOT_LIST:
      return Read<aliquot_list>(bytes);
    case ALIQUOT_RELEASE:
    case ALIQUOT_CHARGE:
      return Read<aliquot_amount>(bytes);
    case ALIQUOT_WANT:
    case ALIQUOT_WORK:
    case ALIQUOT_IDLE:
      return Read<aliquot_doorbell>(bytes);
    case ALIQUOT_EVENT:
      return Read<aliquot_event>(bytes);
    default:
      break;
  }
  return Error{Code::kInvalidArgument, fmt::format("frame of type {}", header.type)};
}

std::uint32_t RequestId(std::span<const std::byte> bytes) {
  aliquot_header header{};
  if (bytes.size() >= sizeof header) std::memcpy(&header, bytes.data(), sizeof header);
  return header.id;
}

}  // namespace aliquot::arbiter
