// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/tls_context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>

namespace aliquot::http {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using ErrorCode = boost::system::error_code;

Error Unreadable(const char* what, const ErrorCode& error) {
  return {Code::kInvalidArgument,
          fmt::format("read {}: {}, expected PEM text", what, error.message())};
}

bool IsAddress(const std::string& host) {
  ErrorCode error;
  asio::ip::make_address(host, error);
  return !error;
}

}  // namespace

Result<TlsContext> MakeClientContext(const TlsOptions& options) {
  // Without the system's openssl.cnf: it belongs to another build of the library than ours. Without
  // OpenSSL's exit handler: other threads may still be at work then.
  ::OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr);
  TlsContext context;
  try {
    context = std::make_shared<ssl::context>(ssl::context::tls_client);
  } catch (const std::exception& error) {
    return Error{Code::kInternal, fmt::format("start TLS: {}", error.what())};
  }
  SSL_CTX* native = context->native_handle();
  ::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  ::SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  constexpr unsigned char kProtocols[] = "\x08http/1.1";
  ::SSL_CTX_set_alpn_protos(native, kProtocols, sizeof(kProtocols) - 1);

  ErrorCode error;
  if (options.insecure) {
    context->set_verify_mode(ssl::verify_none, error);
  } else {
    context->set_verify_mode(ssl::verify_peer, error);
    if (options.ca.empty()) {
      context->set_default_verify_paths(error);
    } else {
      context->add_certificate_authority(asio::buffer(options.ca), error);
      if (error) return Unreadable("the certificate authority", error);
    }
  }
  if (!options.certificate.empty() || !options.key.empty()) {
    context->use_certificate_chain(asio::buffer(options.certificate), error);
    if (error) return Unreadable("the client certificate", error);
    context->use_private_key(asio::buffer(options.key), ssl::context::pem, error);
    if (error) return Unreadable("the client key", error);
    if (::SSL_CTX_check_private_key(native) != 1) {
      ::ERR_clear_error();
      return Error{Code::kInvalidArgument, "the client key does not belong to the certificate"};
    }
  }
  return context;
}

bool ExpectHost(SSL* connection, const std::string& host) {
  if (IsAddress(host)) {
    return ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(connection), host.c_str()) == 1;
  }
  // The macro casts away const.
  if (::SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(host.c_str())) != 1) {
    return false;
  }
  ::SSL_set_hostflags(connection, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return ::SSL_set1_host(connection, host.c_str()) == 1;
}

Error HandshakeError(SSL* connection, const std::string& server, const ErrorCode& error) {
  const long verdict = ::SSL_get_verify_result(connection);
  if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    return {Code::kFailedPrecondition,
            fmt::format("connect to {}: the server's certificate is for another name; use a name "
                        "or address that it lists",
                        server)};
  }
  if (verdict != X509_V_OK) {
    return {Code::kFailedPrecondition,
            fmt::format("connect to {}: the server's certificate is not trusted ({}); check the "
                        "certificate authority and this machine's clock",
                        server, ::X509_verify_cert_error_string(verdict))};
  }
  if (error == asio::error::eof || error == asio::error::connection_reset ||
      error == ssl::error::stream_truncated) {
    return {Code::kUnavailable,
            fmt::format("connect to {}: the connection ended during the TLS handshake", server)};
  }
  return {Code::kFailedPrecondition,
          fmt::format("connect to {}: TLS: {}", server, error.message())};
}

}  // namespace aliquot::http
