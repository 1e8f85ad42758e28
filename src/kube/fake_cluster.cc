// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/fake_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "kube/json_patch.h"
#include "kube/time.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;

Object& Metadata(Object& object) {
  json::value& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = json::object();
  return metadata.as_object();
}

std::string Text(const Object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

std::string MetadataText(const Object& object, const char* key) {
  const json::value* metadata = object.if_contains("metadata");
  return metadata != nullptr && metadata->is_object() ? Text(metadata->as_object(), key) : "";
}

void MoveOver(Object& to, const Object& from, const char* key) {
  if (const json::value* value = from.if_contains(key)) {
    to[key] = *value;
  } else {
    to.erase(key);
  }
}

std::string ApiVersion(const Resource& resource) {
  return resource.group.empty() ? resource.version : resource.group + "/" + resource.version;
}

std::string FullPlural(const Resource& resource) {
  return resource.group.empty() ? resource.plural : resource.plural + "." + resource.group;
}

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

// What an update has to leave as it is.
constexpr const char* kKept[] = {"name",       "namespace",         "uid",
                                 "generation", "creationTimestamp", "deletionTimestamp"};

// The object without what changes with every write.
Object Content(Object object) {
  Object& metadata = Metadata(object);
  for (const char* key : {"resourceVersion", "generation", "managedFields"}) metadata.erase(key);
  return object;
}

Object WithoutStatusAndMetadata(Object object) {
  object.erase("metadata");
  object.erase("status");
  return object;
}

bool HasFinalizers(const Object& object) {
  const json::value* list = object.at("metadata").as_object().if_contains("finalizers");
  return list != nullptr && list->is_array() && !list->as_array().empty();
}

}  // namespace

FakeCluster::FakeCluster(const Clock& clock) : clock_(clock) {
  Register(kNodes, {"Node", false, true, true});
  Register({"", "v1", "namespaces"}, {"Namespace", false, true});
  Register(kPods, {"Pod", true, true, false, true});
  Register(kConfigMaps, {"ConfigMap"});
  Register({"", "v1", "secrets"}, {"Secret"});
  Register(kEvents, {"Event"});
  Register(kDaemonSets, {"DaemonSet", true, true, false, true});
  Register({"apps", "v1", "deployments"}, {"Deployment", true, true, false, true});
  Register(kLeases, {"Lease"});
  Register(kClusterPolicies, {"ClusterPolicy", false, true, false, true, true});
}

void FakeCluster::Register(const Resource& resource, Kind kind) {
  std::lock_guard lock(mutex_);
  kinds_.push_back({resource, std::move(kind), {}});
}

void FakeCluster::Unregister(const Resource& resource) {
  std::lock_guard lock(mutex_);
  std::erase_if(kinds_, [&](const Collection& kind) { return kind.resource == resource; });
}

std::optional<FakeCluster::Kind> FakeCluster::KindOf(const Resource& resource) const {
  std::lock_guard lock(mutex_);
  const auto found = Find(resource);
  if (!found.ok()) return {};
  return (*found)->kind;
}

Result<FakeCluster::Collection*> FakeCluster::Find(const Resource& resource) const {
  for (Collection& kind : kinds_) {
    if (kind.resource == resource) return &kind;
  }
  return Error{Code::kNotFound, "the server could not find the requested resource"};
}

Result<FakeCluster::Stored*> FakeCluster::Find(const Ref& ref) const {
  const auto kind = Find(ref.resource);
  if (!kind.ok()) return kind.error();
  const bool has_subresource = ref.subresource == "status" && (*kind)->kind.status;
  if (!ref.subresource.empty() && !has_subresource) {
    return Error{Code::kNotFound, "the server could not find the requested resource"};
  }
  const auto found = (*kind)->objects.find({ref.ns, ref.name});
  if (found == (*kind)->objects.end()) {
    return Error{Code::kNotFound,
                 fmt::format("{} \"{}\" not found", FullPlural(ref.resource), ref.name)};
  }
  return &found->second;
}

Result<Object> FakeCluster::Get(const Ref& ref) const {
  std::lock_guard lock(mutex_);
  const auto found = Find(ref);
  if (!found.ok()) return found.error();
  return (*found)->object;
}

bool FakeCluster::Filter::Matches(const Object& object) const {
  return (ns.empty() || MetadataText(object, "namespace") == ns) && labels.Matches(object) &&
         fields.Matches(object);
}

Result<FakeCluster::Filter> FakeCluster::MakeFilter(const Selection& selection) {
  auto labels = FakeSelector::Labels(selection.label_selector);
  if (!labels.ok()) return labels.error();
  auto fields = FakeSelector::Fields(selection.field_selector, selection.resource);
  if (!fields.ok()) return fields.error();
  return Filter{selection.resource, selection.ns, *std::move(labels), *std::move(fields)};
}

Result<FakeCluster::Page> FakeCluster::List(const Selection& selection, std::size_t limit,
                                            const std::string& next) const {
  std::lock_guard lock(mutex_);
  const auto kind = Find(selection.resource);
  if (!kind.ok()) return kind.error();
  const auto filter = MakeFilter(selection);
  if (!filter.ok()) return filter.error();
  Page page{{}, fmt::to_string(version_), {}};
  Key after;
  if (!next.empty()) {
    const std::vector<std::string> parts = Split(next, '|');
    const auto version = parts.size() == 3 ? ParseUnsigned(parts[0]) : std::nullopt;
    if (!version) return Error{Code::kInvalidArgument, "continue key is not valid"};
    if (*version < compacted_) {
      return Error{Code::kOutOfRange, "The provided continue parameter is too old"};
    }
    after = {parts[1], parts[2]};
    page.version = parts[0];
  }
  for (const auto& [key, stored] : (*kind)->objects) {
    if ((!next.empty() && key <= after) || !filter->Matches(stored.object)) continue;
    if (limit != 0 && page.items.size() == limit) {
      const Object& last = page.items.back();
      page.next = fmt::format("{}|{}|{}", page.version, MetadataText(last, "namespace"),
                              MetadataText(last, "name"));
      break;
    }
    page.items.push_back(stored.object);
  }
  return page;
}

Status FakeCluster::CheckIdentity(const Collection& kind, const Ref& ref, Object& object) const {
  const auto bad = [](std::string what) { return Error{Code::kInvalidArgument, std::move(what)}; };
  if (kind.kind.namespaced == ref.ns.empty()) {
    return Error{Code::kNotFound, "the server could not find the requested resource"};
  }
  const std::string expected = ApiVersion(kind.resource);
  if (Text(object, "kind") != kind.kind.kind || Text(object, "apiVersion") != expected) {
    return bad(fmt::format("the object is {} {}, expected {} {}", Text(object, "apiVersion"),
                           Text(object, "kind"), expected, kind.kind.kind));
  }
  Object& metadata = Metadata(object);
  if (Text(metadata, "name").empty() && !ref.name.empty()) metadata["name"] = ref.name;
  if (!ref.name.empty() && Text(metadata, "name") != ref.name) {
    return bad(fmt::format("the name of the object ({}) does not match the name on the URL ({})",
                           Text(metadata, "name"), ref.name));
  }
  const std::string ns = Text(metadata, "namespace");
  if (!ns.empty() && ns != ref.ns) {
    return bad(
        "the namespace of the provided object does not match the namespace sent on the "
        "request");
  }
  if (!ref.ns.empty()) metadata["namespace"] = ref.ns;
  return {};
}

void FakeCluster::Stamp(const Collection& kind, Stored& stored) {
  Object& metadata = Metadata(stored.object);
  metadata["resourceVersion"] = fmt::to_string(++version_);
  metadata.erase("managedFields");
  if (!stored.owners.empty()) {
    metadata["managedFields"] =
        ManagedFields(stored.owners, ApiVersion(kind.resource), FormatTime(clock_.WallNow()));
  }
}

Object FakeCluster::Insert(Collection& kind, const Key& key, Object object, FieldOwners owners) {
  Object& metadata = Metadata(object);
  metadata["uid"] = fmt::format("00000000-0000-4000-8000-{:012x}", next_uid_++);
  metadata["creationTimestamp"] = FormatTime(clock_.WallNow());
  metadata.erase("deletionTimestamp");
  if (kind.kind.generation) metadata["generation"] = 1;
  Stored& stored = kind.objects[key];
  stored = {std::move(object), std::move(owners)};
  Stamp(kind, stored);
  Record({version_, kind.resource, {}, stored.object, false});
  return stored.object;
}

Object FakeCluster::Remove(Collection& kind, const Key& key) {
  Object last = kind.objects.at(key).object;
  const Object before = last;
  kind.objects.erase(key);
  Metadata(last)["resourceVersion"] = fmt::to_string(++version_);
  Record({version_, kind.resource, before, last, true});
  return last;
}

Object FakeCluster::Write(Collection& kind, Stored& stored, Object next, FieldOwners owners,
                          const std::string& subresource) {
  const Object before = stored.object;
  if (subresource == "status") {
    Object merged = before;
    MoveOver(merged, next, "status");
    next = std::move(merged);
  } else if (subresource.empty() && kind.kind.status) {
    MoveOver(next, before, "status");
  }
  const Object& old = before.at("metadata").as_object();
  for (const char* key : kKept) MoveOver(Metadata(next), old, key);
  if (Content(next) == Content(before) && owners == stored.owners) return before;
  if (kind.kind.generation && WithoutStatusAndMetadata(next) != WithoutStatusAndMetadata(before)) {
    const json::value* generation = old.if_contains("generation");
    Metadata(next)["generation"] = generation == nullptr ? 1 : generation->to_number<int>() + 1;
  }
  const Key key = {MetadataText(before, "namespace"), MetadataText(before, "name")};
  stored = {std::move(next), std::move(owners)};
  if (!MetadataText(stored.object, "deletionTimestamp").empty() && !HasFinalizers(stored.object)) {
    return Remove(kind, key);
  }
  Stamp(kind, stored);
  Record({version_, kind.resource, before, stored.object, false});
  return stored.object;
}

Result<Object> FakeCluster::Create(const Resource& resource, const std::string& ns, Object object,
                                   const std::string& manager) {
  std::lock_guard lock(mutex_);
  const auto kind = Find(resource);
  if (!kind.ok()) return kind.error();
  Object& metadata = Metadata(object);
  const std::string prefix = Text(metadata, "generateName");
  if (Text(metadata, "name").empty() && !prefix.empty()) {
    metadata["name"] = fmt::format("{}{:05x}", prefix, next_uid_);
  }
  if (Status status = CheckIdentity(**kind, {resource, ns, "", ""}, object); !status.ok()) {
    return status.error();
  }
  const std::string name = MetadataText(object, "name");
  if (!IsName(name)) {
    return Error{Code::kInvalidArgument, fmt::format("metadata.name: Invalid value: \"{}\"", name)};
  }
  if (!MetadataText(object, "resourceVersion").empty()) {
    return Error{Code::kInvalidArgument,
                 "resourceVersion should not be set on objects to be created"};
  }
  if ((*kind)->objects.contains({ns, name})) {
    return Error{Code::kAlreadyExists,
                 fmt::format("{} \"{}\" already exists", FullPlural(resource), name)};
  }
  if ((*kind)->kind.status && !(*kind)->kind.status_on_create) object.erase("status");
  FieldOwners owners;
  TakeChanges(owners, {manager, false, ""}, {}, object);
  return Insert(**kind, {ns, name}, std::move(object), std::move(owners));
}

// Reads, edits and writes with the checks that updates and patches share.
Result<Object> FakeCluster::Modify(const Ref& ref, const std::string& manager,
                                   const std::function<Status(Object&)>& edit) {
  std::lock_guard lock(mutex_);
  const auto stored = Find(ref);
  if (!stored.ok()) return stored.error();
  Collection& kind = **Find(ref.resource);
  const Object before = (*stored)->object;
  Object next = before;
  if (Status status = edit(next); !status.ok()) return status.error();
  if (Status status = CheckIdentity(kind, ref, next); !status.ok()) return status.error();
  for (const char* key : {"resourceVersion", "uid"}) {
    const std::string asked = MetadataText(next, key);
    if (!asked.empty() && asked != MetadataText(before, key)) {
      return Error{Code::kAborted,
                   fmt::format("Operation cannot be fulfilled on {} \"{}\": the object has been "
                               "modified; please apply your changes to the latest version and try "
                               "again",
                               FullPlural(ref.resource), ref.name)};
    }
  }
  // Ownership is of what will really be written.
  Object written = next;
  if (ref.subresource == "status") {
    written = before;
    MoveOver(written, next, "status");
  } else if (kind.kind.status) {
    MoveOver(written, before, "status");
  }
  FieldOwners owners = (*stored)->owners;
  TakeChanges(owners, {manager, false, ref.subresource}, before, written);
  return Write(kind, **stored, std::move(next), std::move(owners), ref.subresource);
}

Result<Object> FakeCluster::Update(const Ref& ref, Object object, const std::string& manager) {
  return Modify(ref, manager, [&](Object& live) {
    live = std::move(object);
    return Status();
  });
}

Result<Object> FakeCluster::Patch(const Ref& ref, PatchType type, const json::value& patch,
                                  const std::string& manager) {
  const auto kind = KindOf(ref.resource);
  if (type == PatchType::kStrategic && kind && kind->custom) {
    return Error{Code::kInvalidArgument,
                 "the body of the request was in an unknown format - accepted media types include: "
                 "application/json-patch+json, application/merge-patch+json, "
                 "application/apply-patch+yaml"};
  }
  return Modify(ref, manager, [&](Object& live) -> Status {
    json::value root = live;
    if (type == PatchType::kJson) {
      if (Status status = ApplyJsonPatch(root, patch); !status.ok()) return status;
    } else if (!patch.is_object()) {
      return Error{Code::kInvalidArgument, "the patch is not a map"};
    } else if (type == PatchType::kMerge) {
      ApplyMergePatch(root, patch);
    } else {
      ApplyStrategicPatch(root, patch);
    }
    if (!root.is_object()) return Error{Code::kInvalidArgument, "the patched object is not a map"};
    live = std::move(root.as_object());
    return {};
  });
}

Result<Object> FakeCluster::Apply(const Ref& ref, const std::string& manager, bool force,
                                  Object object) {
  std::lock_guard lock(mutex_);
  const auto kind = Find(ref.resource);
  if (!kind.ok()) return kind.error();
  if (manager.empty()) {
    return Error{Code::kInvalidArgument,
                 "fieldManager: Required value: is required for apply patch"};
  }
  if (Metadata(object).contains("managedFields")) {
    return Error{Code::kInvalidArgument, "metadata.managedFields must be nil"};
  }
  if (Status status = CheckIdentity(**kind, ref, object); !status.ok()) return status.error();
  const std::string version = MetadataText(object, "resourceVersion");
  const auto stored = Find(ref);
  if (!stored.ok() && (!ref.subresource.empty() || !IsName(ref.name))) return stored.error();
  if (stored.ok()
          ? !version.empty() && version != MetadataText((*stored)->object, "resourceVersion")
          : !version.empty()) {
    return Error{Code::kAborted,
                 fmt::format("Operation cannot be fulfilled on {} \"{}\": the object has been "
                             "modified",
                             FullPlural(ref.resource), ref.name)};
  }
  if (ref.subresource == "status") {
    Object only = {{"status", object.contains("status") ? object.at("status") : json::value()}};
    object = object.contains("status") ? std::move(only) : Object();
  } else if ((*kind)->kind.status) {
    object.erase("status");
  }
  const FieldManager owner = {manager, true, ref.subresource};
  Object next = stored.ok() ? (*stored)->object : object;
  FieldOwners owners = stored.ok() ? (*stored)->owners : FieldOwners();
  if (Status status = ApplyFields(next, owners, owner, object, force); !status.ok()) {
    return status.error();
  }
  if (!stored.ok()) return Insert(**kind, {ref.ns, ref.name}, std::move(next), std::move(owners));
  return Write(**kind, **stored, std::move(next), std::move(owners), ref.subresource);
}

Result<Object> FakeCluster::Delete(const Ref& ref) {
  std::lock_guard lock(mutex_);
  const auto stored = Find(ref);
  if (!stored.ok()) return stored.error();
  Collection& kind = **Find(ref.resource);
  if (!HasFinalizers((*stored)->object)) return Remove(kind, {ref.ns, ref.name});
  if (!MetadataText((*stored)->object, "deletionTimestamp").empty()) return (*stored)->object;
  const Object before = (*stored)->object;
  Metadata((*stored)->object)["deletionTimestamp"] = FormatTime(clock_.WallNow());
  Stamp(kind, **stored);
  Record({version_, kind.resource, before, (*stored)->object, false});
  return (*stored)->object;
}

Result<Object> FakeCluster::Put(const Resource& resource, Object object) {
  std::lock_guard lock(mutex_);
  const auto kind = Find(resource);
  if (!kind.ok()) return kind.error();
  object["apiVersion"] = ApiVersion(resource);
  object["kind"] = (*kind)->kind.kind;
  const Ref ref = {resource, MetadataText(object, "namespace"), MetadataText(object, "name"), ""};
  if (Status status = CheckIdentity(**kind, ref, object); !status.ok()) return status.error();
  if (!IsName(ref.name)) return Error{Code::kInvalidArgument, "the object has no valid name"};
  Metadata(object).erase("resourceVersion");
  const auto stored = Find(ref);
  FieldOwners owners = stored.ok() ? (*stored)->owners : FieldOwners();
  TakeChanges(owners, {"test", false, ""}, stored.ok() ? (*stored)->object : Object(), object);
  if (!stored.ok()) return Insert(**kind, {ref.ns, ref.name}, std::move(object), std::move(owners));
  return Write(**kind, **stored, std::move(object), std::move(owners), "everything");
}

}  // namespace aliquot::kube
