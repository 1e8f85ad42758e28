// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

namespace aliquot::labels {

// Labels and annotations of a Node through which the controller and the node's agent understand
// each other. Each has one owner.

// "true" where the node has a GPU. Owner: the controller while one of kNfdGpuLabels is "true" (as
// with NVIDIA's operator), otherwise the node's agent, which looks at the PCI bus itself: it sets
// "true", and "false" where it said "true" before.
inline constexpr std::string_view kGpuPresent = "nvidia.com/gpu.present";

// Of every label that Node Feature Discovery makes up itself.
inline constexpr std::string_view kNfdPrefix = "feature.node.kubernetes.io/";

// Node Feature Discovery's words for a PCI device of NVIDIA, in the spellings that its settings can
// give. Source: NVIDIA GPU operator, gpuNodeLabels.
inline constexpr std::array<std::string_view, 3> kNfdGpuLabels = {
    "feature.node.kubernetes.io/pci-10de.present",
    "feature.node.kubernetes.io/pci-0302_10de.present",
    "feature.node.kubernetes.io/pci-0300_10de.present"};

// Annotation, owner: the node's agent. Why it refuses the configuration that is meant for it, in
// one line of at most 1,024 bytes; absent while nothing is refused. The controller repeats it in
// the ClusterPolicy's conditions.
inline constexpr std::string_view kConfigRefused = "aliquot.dev/config-refused";

}  // namespace aliquot::labels
