// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "config/yaml_document.h"
#include "kube/auth.h"

namespace aliquot::kube {
namespace {

using config::Node;

// The value of `key`; null if there is none or `map` is not a map.
const Node* Find(const Node* map, std::string_view key) {
  const Node* found = nullptr;
  if (map == nullptr || map->kind != Node::Kind::kMap) return nullptr;
  for (const Node::Entry& entry : map->entries) {
    if (entry.key == key && !entry.value->is_null()) found = entry.value.get();
  }
  return found;
}

std::string Text(const Node* map, std::string_view key) {
  const Node* value = Find(map, key);
  return value == nullptr ? "" : value->text;
}

// There, and not the boolean false.
bool IsSet(const Node* map, std::string_view key) {
  const Node* value = Find(map, key);
  return value != nullptr && (value->kind != Node::Kind::kBool || value->boolean);
}

// The entry called `name` of the list `list`; of it the map `what`.
const Node* Named(const Node* root, std::string_view list, std::string_view name,
                  std::string_view what) {
  const Node* items = Find(root, list);
  if (items == nullptr) return nullptr;
  for (const config::NodePtr& item : items->items) {
    if (Text(item.get(), "name") == name) return Find(item.get(), what);
  }
  return nullptr;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int count = 0;
  bool padded = false;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    unsigned value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<unsigned>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<unsigned>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<unsigned>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else if (c == '=') {
      padded = true;
      continue;
    } else {
      return {};
    }
    if (padded) return {};
    bits = (bits << 6) | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xffu);
    }
  }
  return out;
}

// Reads one kubeconfig file.
class Reader {
 public:
  Reader(std::string file, const Node* root) : file_(std::move(file)), root_(root) {}

  Result<Access> Read(const std::string& wanted) {
    const std::string context = wanted.empty() ? Text(root_, "current-context") : wanted;
    if (context.empty()) {
      return Bad("it has no current-context; choose one with kubectl config use-context");
    }
    const Node* chosen = Named(root_, "contexts", context, "context");
    if (chosen == nullptr) return Bad(fmt::format("it has no context \"{}\"", context));
    access_.source = fmt::format("context \"{}\" of {}", context, file_);
    access_.ns = Text(chosen, "namespace");
    if (access_.ns.empty()) access_.ns = "default";
    const std::string cluster = Text(chosen, "cluster");
    if (Status status = ReadCluster(cluster, Named(root_, "clusters", cluster, "cluster"));
        !status.ok()) {
      return status.error();
    }
    const std::string user = Text(chosen, "user");
    if (!user.empty()) {
      if (Status status = ReadUser(user, Named(root_, "users", user, "user")); !status.ok()) {
        return status.error();
      }
    }
    return access_;
  }

 private:
  Error Bad(const std::string& what, Code code = Code::kInvalidArgument) const {
    return {code, fmt::format("read kubeconfig {}: {}", file_, what)};
  }

  Status ReadCluster(const std::string& name, const Node* cluster) {
    if (cluster == nullptr) return Bad(fmt::format("it has no cluster \"{}\"", name));
    if (IsSet(cluster, "proxy-url")) {
      return Bad(fmt::format("cluster \"{}\" has a proxy-url, which is not supported", name),
                 Code::kUnimplemented);
    }
    if (Status status = ReadServer(Text(cluster, "server")); !status.ok()) return status;
    access_.server_name = Text(cluster, "tls-server-name");
    access_.insecure = IsSet(cluster, "insecure-skip-tls-verify");
    return ReadMaterial(cluster, "certificate-authority", access_.ca);
  }

  Status ReadServer(const std::string& url) {
    std::string_view rest = url;
    if (rest.starts_with("https://")) {
      rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
      rest.remove_prefix(7);
      access_.use_tls = false;
    } else {
      return Bad(fmt::format("the server is \"{}\", expected https://HOST:PORT", url));
    }
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    access_.path = std::string(rest.substr(slash));
    while (access_.path.ends_with('/')) access_.path.pop_back();
    std::string_view host = rest.substr(0, slash);
    std::string_view port;
    const std::size_t bracket = host.find(']');
    const std::size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
      port = host.substr(colon + 1);
      host = host.substr(0, colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const auto number = port.empty() ? (access_.use_tls ? 443 : 80) : ParseUnsigned(port);
    if (host.empty() || !number || *number == 0 || *number > 65'535 ||
        host.find_first_of("@?# ") != std::string_view::npos) {
      return Bad(fmt::format("the server is \"{}\", expected https://HOST:PORT", url));
    }
    access_.host = std::string(host);
    access_.port = static_cast<std::uint16_t>(*number);
    return {};
  }

  Status ReadUser(const std::string& name, const Node* user) {
    if (user == nullptr && Named(root_, "users", name, "name") == nullptr) {
      return Bad(fmt::format("it has no user \"{}\"", name));
    }
    if (const Node* exec = Find(user, "exec")) {
      return Bad(
          fmt::format("user \"{}\" gets credentials from the program \"{}\" (exec), which is "
                      "not supported; use a token or a client certificate",
                      name, Text(exec, "command")),
          Code::kUnimplemented);
    }
    for (const char* key :
         {"auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra"}) {
      if (IsSet(user, key)) {
        return Bad(fmt::format("user \"{}\" has \"{}\", which is not supported; use a token or a "
                               "client certificate",
                               name, key),
                   Code::kUnimplemented);
      }
    }
    if (Status status = ReadMaterial(user, "client-certificate", access_.certificate);
        !status.ok()) {
      return status;
    }
    if (Status status = ReadMaterial(user, "client-key", access_.key); !status.ok()) return status;
    if (access_.certificate.empty() != access_.key.empty()) {
      return Bad(
          fmt::format("user \"{}\" has a client certificate or its key, expected both", name));
    }
    access_.token.text = Text(user, "token");
    if (const std::string file = Text(user, "tokenFile"); !file.empty()) {
      access_.token.file = Absolute(file);
    }
    return {};
  }

  // "<key>-data" in base64, or else the file "<key>".
  Status ReadMaterial(const Node* map, const std::string& key, Material& out) {
    if (const std::string data = Text(map, key + "-data"); !data.empty()) {
      auto decoded = DecodeBase64(data);
      if (!decoded) return Bad(fmt::format("{}-data is not base64", key));
      out.text = *std::move(decoded);
    } else if (const std::string file = Text(map, key); !file.empty()) {
      out.file = Absolute(file);
    }
    return {};
  }

  std::string Absolute(const std::string& file) const {
    if (file.starts_with('/')) return file;
    return file_.substr(0, file_.rfind('/') + 1) + file;
  }

  const std::string file_;
  const Node* const root_;
  Access access_;
};

}  // namespace

Result<Access> KubeconfigAccess(const std::string& file, const std::string& context) {
  auto text = ReadFile(file, config::kMaxFileBytes);
  if (!text.ok()) return text.error().In("read kubeconfig");
  config::Problems problems;
  const config::NodePtr root = config::ParseYaml(*text, problems);
  if (root == nullptr) {
    const auto all = std::move(problems).Take();
    return Error{
        Code::kInvalidArgument,
        fmt::format("read kubeconfig {}", all.empty() ? file : config::Format(all.front(), file))};
  }
  return Reader(file, root.get()).Read(context);
}

}  // namespace aliquot::kube
