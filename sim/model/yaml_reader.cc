// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/model/yaml_reader.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

#include "base/text.h"

namespace aliquot::sim {
namespace {

// Quotes a value from a file for a message: control characters out, long values cut.
std::string Quoted(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string out = "\"";
  for (const char c : text.substr(0, kMost)) {
    out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  }
  out += text.size() > kMost ? "...\"" : "\"";
  return out;
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  std::int64_t value = 0;
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  if (hex && text.starts_with('-')) return std::nullopt;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Parses for the sake of the document marks alone.
struct DocumentMarks final : YAML::EventHandler {
  void OnDocumentStart(const YAML::Mark& mark) override { last = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  YAML::Mark last;
};

}  // namespace

YamlReader::YamlReader(const std::string& text) {
  if (text.find('\0') != std::string::npos) {
    problems_.push_back({0, 0, "the file holds zero bytes; expected YAML text"});
    return;
  }
  try {
    // Not YAML::LoadAll, which finds documents without end in texts such as ",".
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentMarks marks;
    if (!parser.HandleNextDocument(marks)) {
      problems_.push_back({0, 0, "the file is empty; expected a YAML map"});
      return;
    }
    if (parser.HandleNextDocument(marks)) {
      problems_.push_back({marks.last.line + 1, marks.last.column + 1,
                           "a second document begins here; expected one document"});
      return;
    }
    root_ = YAML::Load(text);
  } catch (const YAML::Exception& e) {
    problems_.push_back({e.mark.line + 1, e.mark.column + 1, "not YAML: " + e.msg});
  } catch (const std::exception& e) {
    problems_.push_back({0, 0, std::string("not YAML: ") + e.what()});
  }
}

void YamlReader::Report(const YAML::Node& at, std::string message) {
  // A file with a thousand mistakes needs no thousand messages.
  constexpr std::size_t kMost = 100;
  if (problems_.size() >= kMost) return;
  const YAML::Mark mark = at.IsDefined() ? at.Mark() : YAML::Mark::null_mark();
  problems_.push_back({mark.line + 1, mark.column + 1, std::move(message)});
}

bool YamlReader::CheckMap(const YAML::Node& map, std::string_view what,
                          std::initializer_list<std::string_view> allowed) {
  if (!map.IsDefined() || !map.IsMap()) {
    Report(map, fmt::format("{} is not a map of keys and values", what));
    return false;
  }
  std::set<std::string> seen;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) {
      Report(entry.first, fmt::format("{} has a key that is not plain text", what));
      continue;
    }
    const std::string& key = entry.first.Scalar();
    if (!seen.insert(key).second) {
      Report(entry.first, fmt::format("{} has the key {} twice", what, Quoted(key)));
    }
    const std::vector<std::string_view> names(allowed);
    if (std::find(names.begin(), names.end(), key) != names.end()) continue;
    const std::optional<std::string> near = NearestOf(key, names);
    const std::vector<std::string> all(names.begin(), names.end());
    Report(entry.first, near ? fmt::format("unknown key {} of {}; did you mean \"{}\"?",
                                           Quoted(key), what, *near)
                             : fmt::format("unknown key {} of {}; expected one of {}", Quoted(key),
                                           what, Join(all, ", ")));
  }
  return true;
}

YAML::Node YamlReader::Get(const YAML::Node& map, std::string_view key) const {
  // By hand: operator[] converts every key and throws on some.
  if (map.IsDefined() && map.IsMap()) {
    for (const auto& entry : map) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

YAML::Node YamlReader::Require(const YAML::Node& map, std::string_view key) {
  YAML::Node node = Get(map, key);
  if (!node.IsDefined()) Report(map, fmt::format("the key \"{}\" is missing", key));
  return node;
}

std::optional<std::string> YamlReader::ScalarText(const YAML::Node& node, std::string_view what) {
  if (!node.IsDefined()) return std::nullopt;
  if (!node.IsScalar() || node.Scalar().empty()) {
    Report(node, fmt::format("{} is not text", what));
    return std::nullopt;
  }
  return node.Scalar();
}

std::optional<std::int64_t> YamlReader::ScalarInteger(const YAML::Node& node, std::string_view what,
                                                      std::int64_t least, std::int64_t most) {
  if (!node.IsDefined()) return std::nullopt;
  const std::optional<std::int64_t> value =
      node.IsScalar() ? ParseInteger(node.Scalar()) : std::nullopt;
  if (!value || *value < least || *value > most) {
    Report(node,
           fmt::format("{} {} is not a whole number from {} to {}", what,
                       Quoted(node.IsScalar() ? node.Scalar() : "(not a scalar)"), least, most));
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> YamlReader::Text(const YAML::Node& map, std::string_view key) {
  return ScalarText(Get(map, key), key);
}

std::optional<std::int64_t> YamlReader::Integer(const YAML::Node& map, std::string_view key,
                                                std::int64_t least, std::int64_t most) {
  return ScalarInteger(Get(map, key), key, least, most);
}

std::optional<bool> YamlReader::Boolean(const YAML::Node& map, std::string_view key) {
  const YAML::Node node = Get(map, key);
  if (!node.IsDefined()) return std::nullopt;
  if (node.IsScalar() && node.Scalar() == "true") return true;
  if (node.IsScalar() && node.Scalar() == "false") return false;
  Report(node, fmt::format("{} is neither true nor false", key));
  return std::nullopt;
}

std::vector<YAML::Node> YamlReader::List(const YAML::Node& map, std::string_view key,
                                         std::size_t most) {
  const YAML::Node node = Get(map, key);
  if (!node.IsDefined()) return {};
  if (!node.IsSequence()) {
    Report(node, fmt::format("{} is not a list", key));
    return {};
  }
  if (node.size() > most) {
    Report(node, fmt::format("{} has {} entries; expected at most {}", key, node.size(), most));
    return {};
  }
  std::vector<YAML::Node> entries;
  for (const auto& entry : node) entries.push_back(entry);
  return entries;
}

std::string FormatProblems(std::string_view file, const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) {
    lines.push_back(problem.line > 0 ? fmt::format("{}:{}:{}: {}", file, problem.line,
                                                   problem.column, problem.message)
                                     : fmt::format("{}: {}", file, problem.message));
  }
  return Join(lines, "\n");
}

}  // namespace aliquot::sim
