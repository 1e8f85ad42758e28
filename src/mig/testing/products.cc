// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/testing/products.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "mig/catalog.h"

namespace aliquot::mig::testing {
namespace {

using gpu::EngineCounts;

struct Row {
  unsigned index;
  unsigned id;
  unsigned slices;
  unsigned max_instances;
  std::uint64_t memory_mib;
  unsigned multiprocessors;
  EngineCounts engines;
  unsigned size;  // in memory slices of the GPU
};

struct Product {
  const char* key;
  const char* name;
  std::uint32_t device;
  std::uint64_t total_mib;
  ModeSwitch mode_switch;
  unsigned memory_slices;
  std::vector<Row> rows;
};

// Multiprocessors or MiB of 1g, double-memory 1g, 2g, 3g, 4g and 7g.
using Six = std::array<unsigned, 6>;
// Engines of the same.
using SixEngines = std::array<EngineCounts, 6>;

constexpr EngineCounts kAmpereMe = {1, 1, 0, 1, 1};
constexpr SixEngines kAmpere = {{{1, 0, 0, 0, 0},
                                 {1, 1, 0, 0, 0},
                                 {2, 1, 0, 0, 0},
                                 {3, 2, 0, 0, 0},
                                 {4, 2, 0, 0, 0},
                                 {7, 5, 0, 1, 1}}};
constexpr EngineCounts kHopperMe = {1, 1, 0, 1, 1};
constexpr SixEngines kHopper = {{{1, 1, 0, 1, 0},
                                 {1, 1, 0, 1, 0},
                                 {2, 2, 0, 2, 0},
                                 {3, 3, 0, 3, 0},
                                 {4, 4, 0, 4, 0},
                                 {8, 7, 0, 7, 1}}};
constexpr EngineCounts kBlackwellMe = {2, 1, 0, 1, 1};
constexpr SixEngines kBlackwell = {{{2, 1, 0, 1, 0},
                                    {2, 1, 0, 1, 0},
                                    {4, 2, 0, 2, 0},
                                    {6, 3, 0, 3, 0},
                                    {8, 4, 0, 4, 0},
                                    {16, 7, 0, 7, 1}}};
constexpr Six kAmpereSms = {14, 14, 28, 42, 56, 98};
constexpr Six kHopperSms = {16, 26, 32, 60, 64, 132};
constexpr Six kH20Sms = {8, 16, 18, 34, 38, 78};
constexpr Six kB200Sms = {18, 30, 36, 70, 72, 148};
constexpr Six kGb200Sms = {18, 32, 38, 70, 76, 152};

Product EightSlices(const char* key, const char* name, std::uint32_t device, std::uint64_t total,
                    ModeSwitch mode_switch, const Six& mib, const Six& sms,
                    const SixEngines& engines, const EngineCounts& me) {
  return {key,
          name,
          device,
          total,
          mode_switch,
          8,
          {{0x0, 19, 1, 7, mib[0], sms[0], engines[0], 1},
           {0x1, 14, 2, 3, mib[2], sms[2], engines[2], 2},
           {0x2, 9, 3, 2, mib[3], sms[3], engines[3], 4},
           {0x3, 5, 4, 1, mib[4], sms[4], engines[4], 4},
           {0x4, 0, 7, 1, mib[5], sms[5], engines[5], 8},
           {0x7, 20, 1, 1, mib[0], sms[0], me, 1},
           {0x9, 15, 1, 4, mib[1], sms[1], engines[1], 2}}};
}

Product RtxPro6000() {
  return {"rtx-pro-6000",
          "NVIDIA RTX PRO 6000 Blackwell Server Edition",
          0x2BB510DE,
          97887,
          ModeSwitch::kImmediate,
          12,
          {{0x0, 14, 1, 4, 24192, 46, {1, 1, 1, 1, 0}, 3},
           {0x1, 5, 2, 2, 48512, 94, {2, 2, 2, 2, 0}, 6},
           {0x3, 0, 4, 1, 97280, 188, {4, 4, 4, 4, 1}, 12},
           {0x7, 21, 1, 1, 24192, 46, {1, 1, 1, 1, 1}, 3},
           {0xA, 47, 1, 4, 24192, 46, {1, 1, 1, 1, 0}, 3},
           {0xB, 35, 2, 2, 48512, 94, {2, 2, 2, 2, 0}, 6},
           {0xC, 32, 4, 1, 97280, 188, {4, 4, 4, 4, 1}, 12},
           {0xD, 67, 1, 4, 24192, 46, {1, 0, 0, 0, 0}, 3},
           {0xE, 66, 2, 2, 48512, 94, {2, 0, 0, 0, 0}, 6},
           {0xF, 65, 1, 1, 24192, 46, {1, 4, 4, 4, 1}, 3},
           {0x10, 64, 2, 1, 48512, 94, {2, 4, 4, 4, 1}, 6}}};
}

// RTX PRO 5000 has +me, RTX PRO 4500 has not.
Product TwoSlices(const char* key, const char* name, std::uint64_t total, unsigned one,
                  unsigned two, unsigned sms, bool me) {
  Product product{key,
                  name,
                  0,
                  total,
                  ModeSwitch::kImmediate,
                  12,
                  {{0x0, 14, 1, 2, one, sms / 2, {1, 1, 1, 1, 0}, 6},
                   {0x1, 5, 2, 1, two, sms, {2, 2, 2, 2, 1}, 12},
                   {0xA, 47, 1, 2, one, sms / 2, {1, 1, 1, 1, 0}, 6},
                   {0xB, 35, 2, 1, two, sms, {2, 2, 2, 2, 1}, 12},
                   {0xD, 67, 1, 2, one, sms / 2, {1, 0, 0, 0, 0}, 6},
                   {0xF, 65, 1, 1, one, sms / 2, {1, 2, 2, 2, 1}, 6}}};
  if (me) {
    product.rows.insert(product.rows.begin() + 2,
                        {0x7, 21, 1, 1, one, sms / 2, {1, 1, 1, 1, 1}, 6});
  }
  return product;
}

Product A30() {
  return {"a30",
          "NVIDIA A30",
          0x20B710DE,
          24576,
          ModeSwitch::kWithReset,
          4,
          {{0x0, 14, 1, 4, 5952, 14, {1, 0, 0, 0, 0}, 1},
           {0x1, 5, 2, 2, 11968, 28, {2, 2, 0, 0, 0}, 2},
           {0x3, 0, 4, 1, 24000, 56, {4, 4, 0, 1, 1}, 4},
           {0x7, 21, 1, 1, 5952, 14, {1, 1, 0, 1, 1}, 1},
           {0x8, 6, 2, 1, 11968, 28, {2, 2, 0, 1, 1}, 2}}};
}

std::vector<Product> Products() {
  const auto ampere = [](const char* key, const char* name, std::uint32_t device,
                         std::uint64_t total, const Six& mib) {
    return EightSlices(key, name, device, total, ModeSwitch::kWithReset, mib, kAmpereSms, kAmpere,
                       kAmpereMe);
  };
  const auto hopper = [](const char* key, const char* name, std::uint32_t device,
                         std::uint64_t total, const Six& mib, const Six& sms = kHopperSms) {
    return EightSlices(key, name, device, total, ModeSwitch::kImmediate, mib, sms, kHopper,
                       kHopperMe);
  };
  const auto blackwell = [](const char* key, const char* name, std::uint32_t device,
                            std::uint64_t total, const Six& mib, const Six& sms) {
    return EightSlices(key, name, device, total, ModeSwitch::kImmediate, mib, sms, kBlackwell,
                       kBlackwellMe);
  };
  constexpr Six kGh96 = {11264, 23552, 23552, 47616, 47616, 95232};
  constexpr Six kH200 = {16384, 33280, 33280, 71424, 71424, 143360};
  return {
      A30(),
      ampere("a100-40gb", "NVIDIA A100-SXM4-40GB", 0x20B010DE, 40960,
             {4864, 9856, 9856, 19968, 19968, 40192}),
      ampere("a100-80gb", "NVIDIA A100-SXM4-80GB", 0x20B210DE, 81920,
             {9856, 19968, 19968, 40192, 40192, 80384}),
      ampere("a100-96gb", "NVIDIA PG506-96GB", 0x20B610DE, 97871, kGh96),
      hopper("h100-80gb", "NVIDIA H100 80GB HBM3", 0x233010DE, 81559,
             {9984, 20096, 20096, 40448, 40448, 81152}),
      hopper("h100-nvl", "NVIDIA H100 NVL", 0x232110DE, 95830,
             {10880, 22016, 22016, 47232, 47232, 94848}),
      hopper("gh200-96gb", "NVIDIA GH200 480GB", 0x234210DE, 97871, kGh96),
      hopper("gh200-144gb", "NVIDIA GH200 144G HBM3e", 0x234810DE, 146831,
             {17920, 36096, 36096, 72960, 72960, 146176}),
      hopper("h20-96gb", "NVIDIA H20", 0x232910DE, 97871, kGh96, kH20Sms),
      hopper("h20-141gb", "NVIDIA H20-3e", 0, 143771, kH200, kH20Sms),
      hopper("h200", "NVIDIA H200", 0x233510DE, 143771, kH200),
      blackwell("b200", "NVIDIA B200", 0x290110DE, 183359,
                {20992, 45312, 45312, 91392, 91392, 182784}, kB200Sms),
      blackwell("gb200", "NVIDIA GB200", 0x294110DE, 189471,
                {20480, 46592, 46592, 94464, 94464, 188928}, kGb200Sms),
      blackwell("b300", "NVIDIA B300 SXM6 AC", 0x318210DE, 275040,
                {34176, 68608, 68608, 137216, 137216, 274432}, kB200Sms),
      blackwell("gb300", "NVIDIA GB300", 0x31C210DE, 284208,
                {35328, 70912, 70912, 141824, 141824, 283648}, kGb200Sms),
      RtxPro6000(),
      TwoSlices("rtx-pro-5000", "NVIDIA RTX PRO 5000 Blackwell", 48935, 24192, 48512, 110, true),
      TwoSlices("rtx-pro-4500", "NVIDIA RTX PRO 4500 Blackwell", 32623, 16128, 32320, 82, false),
  };
}

std::vector<Placement> PlacementsOf(const Row& row, unsigned memory_slices) {
  std::vector<Placement> placements;
  // On eight memory slices the last is beyond the seventh compute slice: no 1g or 2g lies there,
  // and 4g only at the front.
  unsigned last = memory_slices - row.size;
  if (memory_slices == 8 && row.slices == row.size && row.size < 4) last = 8 - row.size - 1;
  if (row.slices == 4 && row.size == 4) last = 0;
  for (unsigned start = 0; start <= last; start += row.size) {
    placements.push_back({start, row.size});
  }
  return placements;
}

std::vector<ComputeProfile> ComputeProfilesOf(const Row& row, unsigned unit) {
  static constexpr std::array<unsigned, 5> kSlices = {1, 2, 3, 4, 7};
  std::vector<ComputeProfile> profiles;
  for (unsigned index = 0; index < kSlices.size(); ++index) {
    const unsigned slices = kSlices[index];
    if (slices != row.slices && 2 * slices > row.slices + 1) continue;
    if (slices > row.slices) continue;
    ComputeProfile profile;
    profile.index = index;
    profile.id = index;
    profile.slices = slices;
    profile.max_instances = row.slices / slices;
    profile.multiprocessors = slices == row.slices ? row.multiprocessors : slices * unit;
    profile.placements = ComputePlacements(slices, row.slices);
    profiles.push_back(profile);
  }
  if (row.index == 0x9) {  // double memory: the driver's default covers all multiprocessors
    ComputeProfile whole = profiles.front();
    profiles.front().multiprocessors = unit;
    whole.index = whole.id = 7;
    profiles.push_back(whole);
  }
  return profiles;
}

}  // namespace

std::vector<std::string> ProductNames() {
  std::vector<std::string> names;
  for (const Product& product : Products()) names.emplace_back(product.key);
  return names;
}

GpuMigState MakeGpu(const std::string& product, unsigned index) {
  for (const Product& row : Products()) {
    if (product != row.key) continue;
    GpuMigState gpu;
    gpu.index = index;
    gpu.uuid = fmt::format("GPU-00000000-0000-4000-8000-{:012x}", index);
    gpu.name = row.name;
    gpu.pci_device_id = row.device;
    gpu.memory_total_bytes = row.total_mib << 20;
    gpu.mig_capable = true;
    gpu.mode_switch = row.mode_switch;
    for (const Row& from : row.rows) {
      InstanceProfile profile;
      profile.index = from.index;
      profile.id = from.id;
      profile.name =
          NameOfProfile(from.index, from.slices, from.memory_mib, gpu.memory_total_bytes);
      profile.slices = from.slices;
      profile.max_instances = from.max_instances;
      profile.memory_mib = from.memory_mib;
      profile.multiprocessors = from.multiprocessors;
      profile.engines = from.engines;
      profile.placements = PlacementsOf(from, row.memory_slices);
      profile.compute = ComputeProfilesOf(from, row.rows.front().multiprocessors);
      gpu.profiles.push_back(std::move(profile));
    }
    return gpu;
  }
  std::abort();  // a test names a product that is not in the table
}

}  // namespace aliquot::mig::testing
