// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For http/ alone.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "http/client.h"

namespace aliquot::http {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// TLS 1.2 or newer, as a client. kInvalidArgument if a PEM text cannot be read.
Result<TlsContext> MakeClientContext(const TlsOptions& options);

// Makes a connection of `context` expect `host` (a name or an address) in the server's certificate.
// False if OpenSSL refuses the name.
bool ExpectHost(SSL* connection, const std::string& host);

// Why the handshake failed, in words an administrator can act on.
Error HandshakeError(SSL* connection, const std::string& server,
                     const boost::system::error_code& error);

}  // namespace aliquot::http
