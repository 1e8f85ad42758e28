// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Turns entry_points.txt into the exported functions and the table of cuGetProcAddress:
//
//   generate_exports entry_points.txt exports.cc

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace {

struct Line {
  std::string symbol, base, callers, version, target;
  std::vector<std::string> types;
};

bool ParseLine(const std::string& text, Line* line) {
  std::istringstream words(text);
  if (!(words >> line->symbol >> line->base >> line->callers >> line->version)) return false;
  if (!(words >> line->target)) return true;
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return false;
  const std::string_view list = std::string_view(text).substr(open + 1, close - open - 1);
  if (aliquot::Trim(list).empty()) return true;
  for (const std::string& type : aliquot::Split(list, ',')) {
    line->types.emplace_back(aliquot::Trim(type));
  }
  return true;
}

// "A* a0, B a1", or "a0, a1" without the types.
std::string Parameters(const Line& line, bool with_types) {
  std::vector<std::string> pieces;
  for (std::size_t i = 0; i < line.types.size(); ++i) {
    pieces.push_back(with_types ? fmt::format("{} a{}", line.types[i], i) : fmt::format("a{}", i));
  }
  return aliquot::Join(pieces, ", ");
}

std::string Generate(std::vector<Line> lines) {
  std::string out =
      "// Generated from entry_points.txt.\n"
      "#include \"sim/cuda/enter.h\"\n#include \"sim/cuda/entry_points.h\"\n\n"
      "#define ALIQUOT_CUDA_EXPORT extern \"C\" __attribute__((visibility(\"default\")))\n\n"
      "namespace aliquot::sim::cuda::api {\n";
  std::set<std::string> declared;
  for (const Line& line : lines) {
    if (line.target.empty() || !declared.insert(line.target).second) continue;
    out += fmt::format("CUresult {}({});\n", line.target, Parameters(line, true));
  }
  out += "}  // namespace aliquot::sim::cuda::api\n\n";
  for (const Line& line : lines) {
    if (line.target.empty()) {
      out +=
          fmt::format("ALIQUOT_CUDA_EXPORT CUresult {}() {{ return CUDA_ERROR_NOT_SUPPORTED; }}\n",
                      line.symbol);
      continue;
    }
    out += fmt::format(
        "ALIQUOT_CUDA_EXPORT CUresult {}({}) {{\n"
        "  using namespace aliquot::sim::cuda;\n"
        "  return Enter(DefaultStream::{}, [&] {{ return api::{}({}); }});\n}}\n",
        line.symbol, Parameters(line, true), line.callers == "thread" ? "kPerThread" : "kLegacy",
        line.target, Parameters(line, false));
  }
  std::erase_if(lines, [](const Line& line) { return line.base == "-"; });
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return std::tuple(a.base, std::stoi(a.version)) < std::tuple(b.base, std::stoi(b.version));
  });
  out += "\nnamespace aliquot::sim::cuda {\nnamespace {\n\nconst EntryPoint kEntryPoints[] = {\n";
  for (const Line& line : lines) {
    out +=
        fmt::format("    {{\"{}\", {}, {}, {}, reinterpret_cast<void (*)()>(&::{})}},\n", line.base,
                    line.version, line.callers != "thread", line.callers != "legacy", line.symbol);
  }
  out +=
      "};\n\n}  // namespace\n\n"
      "std::span<const EntryPoint> EntryPoints() { return kEntryPoints; }\n\n"
      "}  // namespace aliquot::sim::cuda\n";
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: generate_exports TABLE OUTPUT\n");
    return 2;
  }
  const aliquot::Result<std::string> text = aliquot::ReadFile(argv[1]);
  if (!text.ok()) {
    fmt::print(stderr, "{}\n", text.error().message);
    return 1;
  }
  std::vector<Line> lines;
  int number = 0;
  for (const std::string& row : aliquot::Split(*text, '\n')) {
    ++number;
    if (aliquot::Trim(row).empty() || row.front() == '#') continue;
    Line line;
    if (!ParseLine(row, &line)) {
      fmt::print(stderr, "{}:{}: not an entry point\n", argv[1], number);
      return 1;
    }
    lines.push_back(std::move(line));
  }
  const aliquot::Status written = aliquot::WriteFileAtomically(argv[2], Generate(std::move(lines)));
  if (!written.ok()) {
    fmt::print(stderr, "{}\n", written.error().message);
    return 1;
  }
  return 0;
}
