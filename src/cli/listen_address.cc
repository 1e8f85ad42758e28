// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/listen_address.h"

#include <optional>

#include "base/text.h"

namespace aliquot::cli {

Result<ListenAddress> ParseListenAddress(const std::string& text) {
  if (text.empty()) return ListenAddress();
  const std::size_t colon = text.rfind(':');
  const auto port =
      colon == std::string::npos ? std::nullopt : ParseUnsigned(text.substr(colon + 1));
  if (!port || *port > 65535) {
    return Error{Code::kInvalidArgument, "--listen (ALIQUOT_LISTEN): \"" + text +
                                             "\" is not ADDRESS:PORT, such as 127.0.0.1:9410"};
  }
  std::string address = text.substr(0, colon);
  if (address.size() > 1 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  return ListenAddress{address.empty() ? "0.0.0.0" : address, static_cast<std::uint16_t>(*port)};
}

}  // namespace aliquot::cli
