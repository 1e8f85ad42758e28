// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <stdexcept>

#include "base/text.h"

namespace aliquot::config {
namespace {

// Thrown and caught in this file only: yaml-cpp's event interface has no other way to stop.
struct Refused : std::exception {
  Refused(Position at, std::string why, std::string todo = {})
      : position(at), message(std::move(why)), hint(std::move(todo)) {}
  Position position;
  std::string message;
  std::string hint;
};

// Length of the UTF-8 sequence at the start of `text` if it is a character YAML allows, else 0.
std::size_t AllowedCharacter(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    return (first >= 0x20 && first != 0x7f) || first == '\t' || first == '\n' || first == '\r';
  }
  const std::size_t length = (first >> 5) == 6    ? 2
                             : (first >> 4) == 14 ? 3
                             : (first >> 3) == 30 ? 4
                                                  : 0;
  if (length == 0 || text.size() < length) return 0;
  std::uint32_t code = first & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) >> 6) != 2) return 0;
    code = (code << 6) | (byte(i) & 0x3fu);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool allowed = code >= kLeast[length] && code <= 0x10ffff &&
                       (code >= 0xa0 || code == 0x85) && (code < 0xd800 || code > 0xdfff) &&
                       code != 0xfffe && code != 0xffff;
  return allowed ? length : 0;
}

void CheckCharacters(std::string_view text) {
  Position position{1, 1};
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = AllowedCharacter(text.substr(i));
    if (length == 0) {
      throw Refused(
          position,
          fmt::format("the byte 0x{:02x} is not allowed here, expected printable UTF-8 text",
                      static_cast<unsigned char>(text[i])),
          "is this a configuration file, saved as UTF-8?");
    }
    position = text[i] == '\n' ? Position{position.line + 1, 1}
                               : Position{position.line, position.column + 1};
    i += length;
  }
}

// Turns yaml-cpp's marks, which count bytes from 0, into positions that count characters from 1.
class Positions {
 public:
  explicit Positions(std::string_view text) : text_(text) {
    starts_.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') starts_.push_back(i + 1);
    }
  }

  // Whether the line of the mark is indented with a tab, which YAML does not allow.
  bool TabIndents(const YAML::Mark& mark) const {
    if (mark.is_null() || mark.line < 0) return false;
    const std::size_t line = std::min(static_cast<std::size_t>(mark.line), starts_.size() - 1);
    const std::string_view rest = text_.substr(starts_[line]);
    return rest.substr(0, rest.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
  }

  // The text from the mark on.
  std::string_view From(const YAML::Mark& mark) const {
    if (mark.is_null() || mark.line < 0) return {};
    const std::size_t line = std::min(static_cast<std::size_t>(mark.line), starts_.size() - 1);
    const std::size_t start = starts_[line] + static_cast<std::size_t>(mark.column);
    return text_.substr(std::min(start, text_.size()));
  }

  Position At(const YAML::Mark& mark) const {
    if (mark.is_null() || mark.line < 0) return {1, 1};
    const std::size_t line = std::min(static_cast<std::size_t>(mark.line), starts_.size() - 1);
    const std::size_t end =
        std::min(starts_[line] + static_cast<std::size_t>(mark.column), text_.size());
    // Marks mostly move forward, so counting goes on from the last one: a line may be 1 MiB long.
    if (line != last_line_ || end < last_end_) {
      last_line_ = line;
      last_end_ = starts_[line];
      characters_ = 0;
    }
    for (; last_end_ < end; ++last_end_) {
      if ((static_cast<unsigned char>(text_[last_end_]) >> 6) != 2) ++characters_;
    }
    return {static_cast<int>(line) + 1, characters_ + 1};
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_;
  mutable std::size_t last_line_ = 0;  // the last place asked for
  mutable std::size_t last_end_ = 0;
  mutable int characters_ = 0;
};

std::string KeyText(const Node& key) {
  switch (key.kind) {
    case Node::Kind::kBool:
      return key.boolean ? "true" : "false";
    case Node::Kind::kInteger:
      return fmt::to_string(key.integer);
    case Node::Kind::kFloat:
    case Node::Kind::kString:
      return key.text;
    case Node::Kind::kNull:
      throw Refused(key.position, "this key is empty, expected a word");
    case Node::Kind::kSequence:
    case Node::Kind::kMap:
      break;
  }
  throw Refused(key.position, "a list or a map cannot be a key, expected a word");
}

// Types a scalar by its tag ("?" none, "!" quoted) and text.
void ResolveScalar(Node& node, const std::string& tag) {
  constexpr std::string_view kPrefix = "tag:yaml.org,2002:";
  node.quoted = tag != "?" && !tag.empty();
  if (!node.quoted) {
    ResolvePlainScalar(node);
  } else {
    node.kind = Node::Kind::kString;
    if (tag.starts_with(kPrefix)) {
      const std::string_view type = std::string_view(tag).substr(kPrefix.size());
      using Kind = Node::Kind;
      std::optional<Kind> wanted;
      if (type == "int") wanted = Kind::kInteger;
      if (type == "float") wanted = Kind::kFloat;
      if (type == "bool") wanted = Kind::kBool;
      if (type == "null") wanted = Kind::kNull;
      if (wanted) {
        node.quoted = false;
        ResolvePlainScalar(node);
        const bool number = *wanted == Kind::kFloat && node.kind == Kind::kInteger;
        if (node.kind != *wanted && !number) {
          throw Refused(node.position,
                        fmt::format("\"{}\" is not a value of type !!{}", node.text, type));
        }
      } else if (type == "binary") {
        throw Refused(node.position, "!!binary values are not supported, expected plain text");
      }
    }
  }
  if (node.kind == Node::Kind::kFloat && !std::isfinite(node.number)) {
    throw Refused(node.position,
                  fmt::format("\"{}\" is not a number that JSON can hold", node.text),
                  "quote it if it is meant as text");
  }
}

// yaml-cpp turns the escapes \N (next line) and \_ (no-break space) into one byte of Latin-1.
// Gives them their UTF-8 form; a scalar that has neither is valid UTF-8 already.
std::string WithWholeCharacters(const std::string& text) {
  std::string whole;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    if ((first >> 6) == 2) whole += '\xc2';
    const std::size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    whole.append(text, i, length);
    i += length;
  }
  return whole;
}

// Whether the quoted scalar that `text` starts with, perhaps after an anchor and a tag, has its
// closing quote. yaml-cpp takes the end of the file for one if it follows a line break.
bool IsTerminated(std::string_view text) {
  while (!text.empty() && (text[0] == '&' || text[0] == '!')) {
    text.remove_prefix(std::min(text.find_first_of(" \t\r\n"), text.size()));
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  }
  if (text.empty() || (text[0] != '\'' && text[0] != '"')) return true;
  const char quote = text[0];
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 >= text.size() || text[i + 1] != '\'') return true;
      ++i;
    }
  }
  return false;
}

// Builds the tree from yaml-cpp's events.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(const Positions& positions) : positions_(positions) {}

  // To be called at the end; null if the document has no content.
  NodePtr Root() const {
    if (!IsTerminated(positions_.From(last_quoted_))) {
      throw Refused(positions_.At(last_quoted_), "the closing quote is missing");
    }
    return root_;
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = New(Node::Kind::kNull, mark);
    Finish(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw Refused(positions_.At(mark), "this alias stands inside the value it refers to");
    }
    Add(found->second);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = New(Node::Kind::kString, mark);
    node->text = WithWholeCharacters(value);
    ResolveScalar(*node, tag);
    if (node->quoted) last_quoted_ = mark;
    Finish(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(New(Node::Kind::kSequence, mark), anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(New(Node::Kind::kMap, mark), anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor = 0;
    NodePtr key;  // of a map: the key whose value comes next
  };

  std::shared_ptr<Node> New(Node::Kind kind, const YAML::Mark& mark) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->position = positions_.At(mark);
    return node;
  }

  void Open(std::shared_ptr<Node> node, YAML::anchor_t anchor) {
    if (levels_.size() >= kMaxDepth) {
      throw Refused(node->position, fmt::format("nested more than {} levels deep", kMaxDepth));
    }
    levels_.push_back({std::move(node), anchor, nullptr});
  }

  void Close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    Finish(std::move(level.node), level.anchor);
  }

  void Finish(std::shared_ptr<Node> node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    Add(std::move(node));
  }

  // Gives a finished node to the list or map it stands in.
  void Add(NodePtr node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    Node& parent = *level.node;
    if (parent.kind == Node::Kind::kSequence) {
      Grow(parent, *node);
      parent.items.push_back(std::move(node));
    } else if (level.key == nullptr) {
      level.key = std::move(node);
    } else {
      const NodePtr key = std::move(level.key);
      level.key = nullptr;
      if (key->kind == Node::Kind::kString && key->text == "<<" && !key->quoted) {
        Merge(parent, *node);
      } else {
        Grow(parent, *node);
        parent.entries.push_back({KeyText(*key), key->position, std::move(node), false});
      }
    }
  }

  void Grow(Node& parent, const Node& child) {
    parent.weight += child.weight;
    parent.depth = std::max(parent.depth, child.depth + 1);
    if (parent.weight > kMaxNodes || levels_.size() + child.depth > kMaxDepth) {
      throw Refused(parent.position,
                    fmt::format("more than {} values or {} levels once the aliases are resolved",
                                kMaxNodes, kMaxDepth));
    }
  }

  // "<<: *base" and "<<: [*first, *second]", where the first one wins.
  void Merge(Node& parent, const Node& from) {
    if (from.kind == Node::Kind::kSequence) {
      for (auto item = from.items.rbegin(); item != from.items.rend(); ++item) {
        if ((*item)->kind != Node::Kind::kMap) {
          throw Refused((*item)->position,
                        "\"<<\" merges maps only, expected a map or an alias of one");
        }
        Merge(parent, **item);
      }
    } else if (from.kind == Node::Kind::kMap) {
      for (const Node::Entry& entry : from.entries) {
        Grow(parent, *entry.value);
        parent.entries.push_back({entry.key, entry.position, entry.value, true});
      }
    } else {
      throw Refused(from.position, "\"<<\" merges maps only, expected a map or an alias of one");
    }
  }

  const Positions& positions_;
  std::vector<Level> levels_;
  std::map<YAML::anchor_t, NodePtr> anchors_;
  NodePtr root_;
  YAML::Mark last_quoted_ = YAML::Mark::null_mark();
};

void WarnOfMoreDocuments(YAML::Parser& parser, Problems& problems) {
  bool more = true;
  try {
    more = static_cast<bool>(parser);
  } catch (const YAML::Exception&) {
    // Something stands there, though not YAML.
  }
  if (more) {
    problems.Warn({1, 1}, "", "only the first document of the file is read",
                  "remove what follows the second \"---\"");
  }
}

}  // namespace

NodePtr ParseYaml(std::string_view text, Problems& problems) {
  if (text.size() > kMaxFileBytes) {
    problems.Error(
        {1, 1}, "",
        fmt::format("the file has {} bytes, expected at most {}", text.size(), kMaxFileBytes));
    return nullptr;
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  try {
    CheckCharacters(text);
    const Positions positions(text);
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(positions);
    try {
      if (!parser.HandleNextDocument(builder)) return std::make_shared<Node>();
    } catch (const YAML::Exception& error) {
      throw Refused(positions.At(error.mark),
                    "this is not valid YAML or JSON: " + ToLower(error.msg),
                    positions.TabIndents(error.mark) ? "indent with blanks instead of tabs" : "");
    }
    WarnOfMoreDocuments(parser, problems);
    NodePtr root = builder.Root();
    if (root == nullptr) root = std::make_shared<Node>();
    return root;
  } catch (const Refused& refused) {
    problems.Error(refused.position, "", refused.message, refused.hint);
  } catch (const std::exception& error) {
    problems.Error({1, 1}, "", fmt::format("reading YAML: {}", error.what()));
  }
  return nullptr;
}

}  // namespace aliquot::config
