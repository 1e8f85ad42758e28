// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/grant.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <exception>

namespace aliquot::grants {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr int kRecordVersion = 1;

json::object ToJson(const GrantDevice& device) {
  json::value memory = nullptr;
  if (device.memory_bytes) memory = *device.memory_bytes;
  return {{"uuid", device.uuid},
          {"gpu", device.gpu_uuid},
          {"held", device.held},
          {"of", device.of},
          {"usableBytes", device.usable_bytes},
          {"memoryBytes", std::move(memory)}};
}

// The functions below throw what boost::json throws; ParseRecord catches.
std::string Text(const json::object& object, const char* key) {
  return json::value_to<std::string>(object.at(key));
}

GrantDevice DeviceFrom(const json::object& object) {
  GrantDevice device;
  device.uuid = Text(object, "uuid");
  device.gpu_uuid = Text(object, "gpu");
  device.held = object.at("held").to_number<unsigned>();
  device.of = object.at("of").to_number<unsigned>();
  device.usable_bytes = object.at("usableBytes").to_number<std::uint64_t>();
  if (const json::value& memory = object.at("memoryBytes"); !memory.is_null()) {
    device.memory_bytes = memory.to_number<std::uint64_t>();
  }
  return device;
}

Grant GrantFrom(const json::object& object) {
  Grant grant;
  grant.id = Text(object, "id");
  grant.resource = Text(object, "resource");
  grant.replica_ids = json::value_to<std::vector<std::string>>(object.at("replicas"));
  for (const json::value& device : object.at("devices").as_array()) {
    grant.devices.push_back(DeviceFrom(device.as_object()));
  }
  grant.memory = object.at("memory").as_bool();
  grant.compute = object.at("compute").as_bool();
  grant.driver_library = Text(object, "driverLibrary");
  grant.nvml_library = Text(object, "nvmlLibrary");
  grant.created_at = WallTime(milliseconds(object.at("createdUnixMs").to_number<std::int64_t>()));
  if (const json::value& holder = object.at("holder"); !holder.is_null()) {
    const json::object& who = holder.as_object();
    grant.holder = Holder{Text(who, "namespace"), Text(who, "pod"), Text(who, "container")};
  }
  return grant;
}

Error Invalid(const std::string& why) {
  return {Code::kInvalidArgument, fmt::format("not the record of a grant: {}", why)};
}

Status Check(const Grant& grant) {
  if (!IsGrantId(grant.id)) return Invalid(fmt::format("id \"{}\"", grant.id));
  if (grant.replica_ids.empty() || grant.devices.empty()) return Invalid("no devices");
  for (const GrantDevice& device : grant.devices) {
    if (device.held == 0 || device.of == 0 || device.uuid.empty()) {
      return Invalid(fmt::format("{} of {} of device \"{}\"", device.held, device.of, device.uuid));
    }
  }
  return {};
}

}  // namespace

std::string ToRecord(const Grant& grant) {
  json::array devices;
  for (const GrantDevice& device : grant.devices) devices.push_back(ToJson(device));
  json::value holder = nullptr;
  if (grant.holder) {
    holder = {{"namespace", grant.holder->pod_namespace},
              {"pod", grant.holder->pod},
              {"container", grant.holder->container}};
  }
  const auto created =
      std::chrono::duration_cast<milliseconds>(grant.created_at.time_since_epoch());
  const json::object record = {
      {"version", kRecordVersion},         {"id", grant.id},
      {"resource", grant.resource},        {"replicas", json::value_from(grant.replica_ids)},
      {"devices", std::move(devices)},     {"memory", grant.memory},
      {"compute", grant.compute},          {"driverLibrary", grant.driver_library},
      {"nvmlLibrary", grant.nvml_library}, {"createdUnixMs", created.count()},
      {"holder", std::move(holder)}};
  return json::serialize(record) + "\n";
}

Result<Grant> ParseRecord(const std::string& text) {
  try {
    const json::value record = json::parse(text);
    const auto version = record.as_object().at("version").to_number<int>();
    if (version != kRecordVersion) {
      return Invalid(fmt::format("version {}, expected {}", version, kRecordVersion));
    }
    Grant grant = GrantFrom(record.as_object());
    if (Status status = Check(grant); !status.ok()) return status.error();
    return grant;
  } catch (const std::exception& failure) {
    return Invalid(failure.what());
  }
}

std::string ShareText(const Grant& grant, bool capped) {
  std::string text =
      "# What this container may use of its GPUs. Kept by the Aliquot agent.\nversion=1\n";
  for (const GrantDevice& device : grant.devices) {
    text +=
        fmt::format("gpu={} {} {}\n", device.uuid, device.memory_bytes.value_or(0), device.held);
  }
  text += fmt::format("memory={}\n", grant.memory ? "share" : "none");
  text += fmt::format("compute={}\n", !grant.compute ? "none" : capped ? "capped" : "fair");
  if (!grant.driver_library.empty()) text += fmt::format("driver={}\n", grant.driver_library);
  if (!grant.nvml_library.empty()) text += fmt::format("nvml={}\n", grant.nvml_library);
  return text;
}

bool IsGrantId(const std::string& id) {
  return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace aliquot::grants
