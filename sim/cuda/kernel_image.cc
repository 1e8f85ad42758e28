// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/kernel_image.h"

#include <cstring>

#include "base/text.h"

namespace aliquot::sim::cuda {
namespace {

constexpr std::string_view kHeader = "aliquot-kernels 1";
constexpr std::string_view kDirective = "aliquot:";

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!(line = Trim(line)).empty()) {
    const std::size_t end = line.find_first_of(" \t");
    words.push_back(line.substr(0, end));
    line = end == std::string_view::npos ? std::string_view() : line.substr(end);
  }
  return words;
}

// "200us", "5ms", "1s", "30ns"
std::optional<DeviceTime> ParseTime(std::string_view text) {
  const std::size_t digits = text.find_first_not_of("0123456789");
  if (digits == std::string_view::npos) return std::nullopt;
  const auto number = ParseUnsigned(text.substr(0, digits));
  const std::string_view unit = text.substr(digits);
  const DeviceTime scale = unit == "ns"   ? 1
                           : unit == "us" ? 1'000
                           : unit == "ms" ? 1'000'000
                           : unit == "s"  ? 1'000'000'000
                                          : 0;
  if (!number || scale == 0 || *number > 1'000'000'000) return std::nullopt;
  return static_cast<DeviceTime>(*number) * scale;
}

bool ReadOption(std::string_view option, KernelSpec& kernel) {
  const std::size_t equals = option.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view key = option.substr(0, equals);
  std::string_view value = option.substr(equals + 1);
  if (key == "time") {
    if (value.starts_with("param:")) {
      const auto index = ParseUnsigned(value.substr(6));
      if (!index || *index > 1'000) return false;
      kernel.time = {KernelTime::Kind::kParameter, 0, static_cast<unsigned>(*index)};
      return true;
    }
    const bool wave = value.starts_with("wave:");
    const auto time = ParseTime(wave ? value.substr(5) : value);
    if (!time) return false;
    kernel.time = {wave ? KernelTime::Kind::kWave : KernelTime::Kind::kFixed, *time, 0};
    return true;
  }
  if (key == "params") {
    kernel.parameter_bytes.clear();
    for (const std::string& piece : Split(value, ',')) {
      const auto bytes = ParseUnsigned(piece);
      if (!bytes || *bytes == 0 || *bytes > 4096) return false;
      kernel.parameter_bytes.push_back(static_cast<unsigned>(*bytes));
    }
    return true;
  }
  if (key == "effect" && value == "add") {
    kernel.adds = true;
    return true;
  }
  const auto number = ParseUnsigned(value);
  if (!number || *number > 256u << 10) return false;
  if (key == "regs") kernel.registers = static_cast<unsigned>(*number);
  if (key == "shared") kernel.shared_bytes = static_cast<unsigned>(*number);
  return key == "regs" || key == "shared";
}

// A parameter that the time or the effect needs must be there, and be of the right size.
bool Consistent(const KernelSpec& kernel) {
  const auto& sizes = kernel.parameter_bytes;
  if (kernel.time.kind == KernelTime::Kind::kParameter) {
    if (kernel.time.parameter >= sizes.size()) return false;
    const unsigned bytes = sizes[kernel.time.parameter];
    if (bytes != 4 && bytes != 8) return false;
  }
  return !kernel.adds || (sizes.size() >= 2 && sizes[0] == 8 && sizes[1] == 4);
}

// ".param .u64 name", ".param .align 8 .b8 name[16]": the bytes it takes.
unsigned ParameterBytes(std::string_view declaration) {
  unsigned element = 8;
  for (std::string_view word : Words(declaration)) {
    if (!word.starts_with('.') || word == ".param" || word == ".align" || word == ".ptr") continue;
    const std::size_t digits = word.find_first_of("0123456789");
    if (digits != 2) continue;
    if (const auto bits = ParseUnsigned(word.substr(digits))) {
      element = static_cast<unsigned>(*bits / 8);
    }
  }
  const std::size_t open = declaration.find('[');
  if (open == std::string_view::npos) return element;
  const std::size_t close = declaration.find(']', open);
  const auto count = ParseUnsigned(Trim(declaration.substr(open + 1, close - open - 1)));
  return count ? element * static_cast<unsigned>(*count) : element;
}

}  // namespace

std::optional<KernelImage> ParseKernelText(std::string_view text) {
  KernelImage image;
  bool first = true;
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string_view> words =
        Words(std::string_view(line).substr(0, line.find('#')));
    if (first) {
      if (Trim(line) != kHeader) return std::nullopt;
      first = false;
      continue;
    }
    if (words.empty()) continue;
    if (words.size() == 3 && words[0] == "global") {
      const auto bytes = ParseUnsigned(words[2]);
      if (!bytes || *bytes == 0 || *bytes > 1u << 30) return std::nullopt;
      image.globals.push_back({std::string(words[1]), *bytes});
      continue;
    }
    if (words.size() < 2 || words[0] != "kernel") return std::nullopt;
    KernelSpec kernel;
    kernel.name = words[1];
    for (std::size_t i = 2; i < words.size(); ++i) {
      if (!ReadOption(words[i], kernel)) return std::nullopt;
    }
    if (!Consistent(kernel)) return std::nullopt;
    image.kernels.push_back(std::move(kernel));
  }
  return image;
}

std::optional<KernelImage> ParsePtx(std::string_view text) {
  constexpr std::string_view kEntry = ".entry";
  KernelImage image;
  std::size_t from = 0;
  for (std::size_t at = text.find(kEntry); at != std::string_view::npos;
       at = text.find(kEntry, from)) {
    const std::string_view before = text.substr(from, at - from);
    from = at + kEntry.size();
    KernelSpec kernel;
    std::string_view rest = Trim(text.substr(from));
    const std::size_t end = rest.find_first_of(" \t\r\n({");
    if (end == 0 || end == std::string_view::npos) return std::nullopt;
    kernel.name = rest.substr(0, end);
    rest = Trim(rest.substr(end));
    if (rest.starts_with('(')) {
      const std::size_t close = rest.find(')');
      if (close == std::string_view::npos) return std::nullopt;
      const std::string_view list = Trim(rest.substr(1, close - 1));
      if (!list.empty()) {
        for (const std::string& piece : Split(list, ',')) {
          kernel.parameter_bytes.push_back(ParameterBytes(piece));
        }
      }
    }
    if (const std::size_t directive = before.rfind(kDirective);
        directive != std::string_view::npos) {
      std::string_view options = before.substr(directive + kDirective.size());
      options = options.substr(0, options.find('\n'));
      for (std::string_view option : Words(options)) {
        if (!ReadOption(option, kernel)) return std::nullopt;
      }
    }
    if (!Consistent(kernel)) return std::nullopt;
    image.kernels.push_back(std::move(kernel));
  }
  return image;
}

std::optional<KernelImage> ReadKernelImage(const void* image) {
  constexpr std::uint32_t kFatBinary = 0xBA55ED50;
  constexpr std::uint32_t kFatBinaryWrapper = 0x466243B1;
  const auto* bytes = static_cast<const char*>(image);
  if (bytes[0] == '\0') return std::nullopt;
  // The terminating zero of a text is among the first four bytes only if it is too short to be
  // anything.
  for (int i = 1; i < 4; ++i) {
    if (bytes[i] == '\0') return std::nullopt;
  }
  std::uint32_t magic = 0;
  std::memcpy(&magic, bytes, sizeof(magic));
  if (magic == kFatBinary || magic == kFatBinaryWrapper || std::memcmp(bytes, "\177ELF", 4) == 0) {
    KernelImage opaque;
    opaque.opaque = true;
    return opaque;
  }
  const std::string_view text(bytes);
  if (text.starts_with("aliquot-kernels")) return ParseKernelText(text);
  if (text.find(".version") != std::string_view::npos) return ParsePtx(text);
  return std::nullopt;
}

}  // namespace aliquot::sim::cuda
