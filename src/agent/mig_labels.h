// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/mig_flow.h"
#include "kube/client.h"

namespace aliquot::agent {

// How the node flow of MIG looks from the cluster: the labels and pods of NVIDIA's
// mig-manager (nvidia-mig-manager, gpu-operator). Pure.

inline constexpr char kMigConfigLabel[] = "nvidia.com/mig.config";
inline constexpr char kMigStateLabel[] = "nvidia.com/mig.config.state";
inline constexpr char kDeployPrefix[] = "nvidia.com/gpu.deploy.";
inline constexpr char kPausedForMig[] = "paused-for-mig-change";

using Labels = std::map<std::string, std::string>;

// The wanted configuration; absent if the label is missing or empty.
std::optional<std::string> WantedMigConfig(const Labels& labels);

// What has to be written to the node's labels to carry out `orders`; absent values are removals.
// `clients` are the last parts of the gpu.deploy labels that may be paused. A label that says
// anything but "true" is left alone, and so is one that is not there. Whatever is paused for a
// change of MIG is restored, whoever paused it.
std::map<std::string, std::optional<std::string>> LabelChanges(
    const Labels& labels, const MigOrders& orders, const std::set<std::string>& clients);

// The gpu.deploy labels that are paused now.
std::set<std::string> PausedLabels(const Labels& labels);

// Of a node's pods those that run because of one of these labels, and so are about to leave:
// "namespace/name", sorted. Ended ones are left out.
std::vector<std::string> PodsSelectedBy(const std::vector<kube::Object>& pods,
                                        const std::set<std::string>& labels);

}  // namespace aliquot::agent
