// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <new>
#include <optional>
#include <string_view>

#include "sim/nvml/session.h"
#include "sim/state/machine.h"
#include "sim/state/mig.h"

// What every exported function does before its own work: find the session, let faults happen,
// resolve the handle, look at the state under its lock.
namespace aliquot::sim {

// A device handle resolved: a GPU, or a MIG device of it. Valid during the call, with the state
// locked, so the body of a call must not block and not write.
struct DeviceView {
  Session& session;
  const NodeState& state;
  unsigned index;  // NVML index of the GPU
  const GpuSpec& spec;
  const Product& product;
  const GpuState& gpu;
  bool is_mig = false;
  unsigned gi_id = 0;  // the rest only if is_mig
  unsigned ci_id = 0;
  const GpuInstanceState* gi = nullptr;
  const ComputeInstanceState* ci = nullptr;
  const MigProfile* profile = nullptr;

  bool mig_enabled() const { return gpu.mig_current != 0; }
  // The compute instance's profile.
  ComputeProfile compute_profile() const;
  abi::Device Handle() const;  // of the GPU
  abi::Device MigHandle(MigDeviceId id) const;
};

// A GPU instance handle, or with `ci` a compute instance handle, resolved. As DeviceView.
struct InstanceView {
  DeviceView device;  // the GPU
  unsigned gi_id = 0;
  const GpuInstanceState* gi = nullptr;
  const MigProfile* profile = nullptr;
  unsigned ci_id = 0;
  const ComputeInstanceState* ci = nullptr;
};

// Resolves `parts` against the state. kInvalidArgument for a handle of another driver generation
// or of an instance that is gone, kGpuIsLost if the GPU is.
int ResolveGpu(Session& session, const NodeState& state, unsigned index,
               std::optional<DeviceView>* view);
int ResolveDevice(Session& session, const NodeState& state, const HandleParts& parts,
                  std::optional<DeviceView>* view);
int ResolveInstance(Session& session, const NodeState& state, const HandleParts& parts,
                    std::optional<InstanceView>* view);

// Copies `text` and its final zero byte; kInsufficientSize if `length` is too small.
int CopyOut(std::string_view text, char* buffer, unsigned length);

// The handle's parts, if they are of this session's generation.
template <typename Handle>
std::optional<HandleParts> OwnHandle(const Session& session, Handle handle) {
  const std::optional<HandleParts> parts = ReadHandle(handle);
  if (!parts || parts->generation != session.handle_generation()) return std::nullopt;
  return parts;
}

// No exception may cross into the caller.
template <typename Body>
int Guarded(Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return abi::kMemory;
  } catch (...) {
    return abi::kUnknown;
  }
}

// A call about no particular GPU: body(Session&).
template <typename Body>
int SystemCall(std::string_view name, Body body) {
  return Guarded([&]() -> int {
    const std::shared_ptr<Session> session = Library::Get().session();
    if (session == nullptr) return abi::kUninitialized;
    const int admitted = session->Admit(name, std::nullopt);
    return admitted != abi::kSuccess ? admitted : body(*session);
  });
}

// A call about a GPU or MIG device: body(const DeviceView&).
template <typename Body>
int DeviceCall(std::string_view name, abi::Device device, Body body) {
  return Guarded([&]() -> int {
    const std::shared_ptr<Session> session = Library::Get().session();
    if (session == nullptr) return abi::kUninitialized;
    const std::optional<HandleParts> parts = ReadHandle(device);
    const int admitted =
        session->Admit(name, parts ? std::optional<unsigned>(parts->gpu) : std::nullopt);
    if (admitted != abi::kSuccess) return admitted;
    if (!parts) return abi::kInvalidArgument;
    int code = abi::kUnknown;
    session->state().Read([&](const NodeState& state) {
      std::optional<DeviceView> view;
      code = ResolveDevice(*session, state, *parts, &view);
      if (code == abi::kSuccess) code = body(*view);
    });
    return code;
  });
}

// As DeviceCall for calls that know no MIG devices: they answer `mig_answer` for one.
template <typename Body>
int GpuCall(std::string_view name, abi::Device device, Body body,
            int mig_answer = abi::kNotSupported) {
  return DeviceCall(name, device, [&](const DeviceView& view) -> int {
    return view.is_mig ? mig_answer : body(view);
  });
}

// A call that changes a GPU: body(const DeviceView&, NodeState&), both of the state that is to
// come. The change takes place if and only if the body answers kSuccess.
template <typename Body>
int GpuWriteCall(std::string_view name, abi::Device device, Body body) {
  return Guarded([&]() -> int {
    const std::shared_ptr<Session> session = Library::Get().session();
    if (session == nullptr) return abi::kUninitialized;
    const std::optional<HandleParts> parts = ReadHandle(device);
    const int admitted =
        session->Admit(name, parts ? std::optional<unsigned>(parts->gpu) : std::nullopt);
    if (admitted != abi::kSuccess) return admitted;
    if (!parts) return abi::kInvalidArgument;
    int code = abi::kUnknown;
    session->state().Write([&](NodeState& state) {
      std::optional<DeviceView> view;
      code = ResolveDevice(*session, state, *parts, &view);
      if (code == abi::kSuccess && view->is_mig) code = abi::kInvalidArgument;
      if (code == abi::kSuccess) code = body(*view, state);
      return code == abi::kSuccess;
    });
    return code;
  });
}

// A call about a GPU instance or a compute instance: body(const InstanceView&).
template <typename Handle, typename Body>
int InstanceCall(std::string_view name, Handle handle, HandleKind kind, Body body) {
  return Guarded([&]() -> int {
    const std::shared_ptr<Session> session = Library::Get().session();
    if (session == nullptr) return abi::kUninitialized;
    const std::optional<HandleParts> parts = ReadHandle(handle);
    const int admitted =
        session->Admit(name, parts ? std::optional<unsigned>(parts->gpu) : std::nullopt);
    if (admitted != abi::kSuccess) return admitted;
    if (!parts || parts->kind != kind) return abi::kInvalidArgument;
    int code = abi::kUnknown;
    session->state().Read([&](const NodeState& state) {
      std::optional<InstanceView> view;
      code = ResolveInstance(*session, state, *parts, &view);
      if (code == abi::kSuccess) code = body(*view);
    });
    return code;
  });
}

// As GpuWriteCall, about an instance: body(const InstanceView&, NodeState&).
template <typename Handle, typename Body>
int InstanceWriteCall(std::string_view name, Handle handle, HandleKind kind, Body body) {
  return Guarded([&]() -> int {
    const std::shared_ptr<Session> session = Library::Get().session();
    if (session == nullptr) return abi::kUninitialized;
    const std::optional<HandleParts> parts = ReadHandle(handle);
    const int admitted =
        session->Admit(name, parts ? std::optional<unsigned>(parts->gpu) : std::nullopt);
    if (admitted != abi::kSuccess) return admitted;
    if (!parts || parts->kind != kind) return abi::kInvalidArgument;
    int code = abi::kUnknown;
    session->state().Write([&](NodeState& state) {
      std::optional<InstanceView> view;
      code = ResolveInstance(*session, state, *parts, &view);
      if (code == abi::kSuccess) code = body(*view, state);
      return code == abi::kSuccess;
    });
    return code;
  });
}

template <typename Body>
int GpuInstanceCall(std::string_view name, abi::GpuInstance handle, Body body) {
  return InstanceCall(name, handle, HandleKind::kGpuInstance, body);
}

template <typename Body>
int ComputeInstanceCall(std::string_view name, abi::ComputeInstance handle, Body body) {
  return InstanceCall(name, handle, HandleKind::kComputeInstance, body);
}

}  // namespace aliquot::sim
