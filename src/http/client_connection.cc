// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/client_connection.h"

#include <fmt/format.h>
#include <netinet/tcp.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <optional>
#include <type_traits>
#include <utility>

namespace aliquot::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using beast::error_code;

using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

// A peer that vanished without a word is noticed after about a minute, also on a stream that is
// silent for good reason.
void KeepAlive(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const auto set = [&](int option, int value) {
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof(value));
  };
  set(TCP_KEEPIDLE, 30);          // seconds
  set(TCP_KEEPINTVL, 10);         // seconds
  set(TCP_KEEPCNT, 3);            // probes
  set(TCP_USER_TIMEOUT, 60'000);  // ms, for data sent and not acknowledged
}

bool IsV6(const ClientOptions& options) { return options.host.find(':') != std::string::npos; }

template <typename Stream>
class BeastConnection final : public ClientConnection,
                              public std::enable_shared_from_this<BeastConnection<Stream>> {
 public:
  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;

  template <typename... Args>
  BeastConnection(asio::io_context& io, const ClientOptions& options, TlsContext tls,
                  std::string server_name, Args&... args)
      : options_(options),
        server_name_(std::move(server_name)),
        server_(fmt::format("{}{}{}:{}", IsV6(options) ? "[" : "", options.host,
                            IsV6(options) ? "]" : "", options.port)),
        tls_(std::move(tls)),
        resolver_(io),
        stream_(io, args...),
        buffer_(options.header_bytes + kChunk) {}

  void Connect(std::function<void(Status)> done) override {
    connected_ = std::move(done);
    error_code not_an_address;
    const asio::ip::address address = asio::ip::make_address(options_.host, not_an_address);
    Tcp().expires_after(options_.connect);
    if (!not_an_address) {
      return Tcp().async_connect(tcp::endpoint(address, options_.port),
                                 [self = Self()](error_code error) { self->OnConnect(error); });
    }
    resolver_.async_resolve(
        options_.host, std::to_string(options_.port),
        [self = Self()](error_code error, const tcp::resolver::results_type& results) {
          if (self->closed_) return;
          if (error) {
            return self->Connected(
                Error{Code::kUnavailable,
                      fmt::format("look up \"{}\": {}", self->options_.host, error.message())});
          }
          self->Tcp().expires_after(self->options_.connect);
          self->Tcp().async_connect(results, [self](error_code failure, const tcp::endpoint&) {
            self->OnConnect(failure);
          });
        });
  }

  void Run(const ClientRequest& request, const StreamHandler& handler,
           std::function<void(Outcome)> done) override {
    ++use_;
    error_code ignored;
    Tcp().socket().cancel(ignored);  // AwaitEnd's
    handler_ = &handler;
    done_ = std::move(done);
    idle_ = request.idle;
    message_ = {};
    message_.version(11);
    message_.method_string(request.method);
    message_.target(request.target);
    message_.set(bhttp::field::host, HostHeader());
    for (const auto& [name, value] : request.headers) message_.set(name, value);
    message_.body() = request.body;
    message_.prepare_payload();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(options_.header_bytes));
    if (request.body_limit == 0) {
      parser_->body_limit(boost::none);
    } else {
      parser_->body_limit(request.body_limit);
    }
    parser_->skip(request.method == "HEAD");
    Wind();
    bhttp::async_write(stream_, message_,
                       [self = Self()](error_code error, std::size_t) { self->OnWritten(error); });
  }

  void AwaitEnd(std::function<void()> gone) override {
    Tcp().expires_never();
    Tcp().socket().async_wait(tcp::socket::wait_read,
                              [self = Self(), use = use_, gone = std::move(gone)](error_code) {
                                if (!self->closed_ && self->use_ == use) gone();
                              });
  }

  void Close() override {
    closed_ = true;
    connected_ = nullptr;
    done_ = nullptr;
    handler_ = nullptr;
    resolver_.cancel();
    Tcp().close();
  }

 private:
  static constexpr std::size_t kChunk = 8u << 10;  // bytes of a body handed over at once

  std::shared_ptr<BeastConnection> Self() { return this->shared_from_this(); }
  beast::tcp_stream& Tcp() { return beast::get_lowest_layer(stream_); }
  void Wind() {
    if (idle_.count() == 0) {
      Tcp().expires_never();
    } else {
      Tcp().expires_after(idle_);
    }
  }

  std::string HostHeader() const {
    const bool usual = options_.port == (kTls ? 443 : 80);
    return usual ? server_.substr(0, server_.rfind(':')) : server_;
  }

  void Connected(Status status) {
    if (!connected_) return;
    const auto done = std::exchange(connected_, nullptr);
    done(std::move(status));
  }

  void OnConnect(error_code error) {
    if (closed_) return;
    if (error == beast::error::timeout) {
      return Connected(Error{
          Code::kDeadlineExceeded,
          fmt::format("connect to {}: no answer within {} ms", server_, options_.connect.count())});
    }
    if (error) {
      return Connected(
          Error{Code::kUnavailable, fmt::format("connect to {}: {}", server_, error.message())});
    }
    KeepAlive(Tcp().socket());
    if constexpr (kTls) {
      if (!ExpectHost(stream_.native_handle(), server_name_)) {
        return Connected(Error{
            Code::kInvalidArgument,
            fmt::format("connect to {}: \"{}\" cannot be a server's name", server_, server_name_)});
      }
      Tcp().expires_after(options_.connect);
      stream_.async_handshake(asio::ssl::stream_base::client,
                              [self = Self()](error_code failure) { self->OnHandshake(failure); });
    } else {
      Connected({});
    }
  }

  void OnHandshake(error_code error) {
    if (closed_) return;
    if (!error) return Connected({});
    if (error == beast::error::timeout) {
      return Connected(
          Error{Code::kDeadlineExceeded, fmt::format("connect to {}: no TLS handshake within {} ms",
                                                     server_, options_.connect.count())});
    }
    if constexpr (kTls) Connected(HandshakeError(stream_.native_handle(), server_, error));
  }

  void OnWritten(error_code error) {
    message_ = {};
    if (closed_) return;
    // A server may answer and close before it has read everything; the answer says why.
    if (error == beast::error::timeout) return Fail(error);
    Wind();
    bhttp::async_read_header(
        stream_, buffer_, *parser_,
        [self = Self()](error_code failure, std::size_t) { self->OnHead(failure); });
  }

  void OnHead(error_code error) {
    if (closed_) return;
    if (error) return Fail(error);
    answered_ = true;
    ResponseHead head;
    head.status = static_cast<int>(parser_->get().result_int());
    for (const auto& field : parser_->get()) {
      head.headers.emplace_back(field.name_string(), field.value());
    }
    handler_->on_head(std::move(head));
    ReadBody();
  }

  void ReadBody() {
    if (closed_) return;
    if (parser_->is_done()) return Succeed();
    Wind();
    parser_->get().body().data = chunk_.data();
    parser_->get().body().size = chunk_.size();
    bhttp::async_read_some(stream_, buffer_, *parser_,
                           [self = Self()](error_code error, std::size_t) { self->OnBody(error); });
  }

  void OnBody(error_code error) {
    if (closed_) return;
    const std::size_t size = chunk_.size() - parser_->get().body().size;
    if (size != 0) handler_->on_data({chunk_.data(), size});
    if (closed_) return;
    if (error && error != bhttp::error::need_buffer) return Fail(error);
    ReadBody();
  }

  void Succeed() {
    const bool reusable = parser_->keep_alive() && buffer_.size() == 0;
    Finish({{}, reusable, false});
  }

  void Fail(error_code error) {
    const auto say = [&](Code code, std::string what) {
      Finish({Error{code, fmt::format("{}: {}", server_, what)}, false, !answered_});
    };
    if (error == beast::error::timeout) {
      return say(Code::kDeadlineExceeded, fmt::format("no data for {} ms", idle_.count()));
    }
    if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
      return say(Code::kResourceExhausted,
                 fmt::format("the answer's header exceeds {} bytes", options_.header_bytes));
    }
    if (error == bhttp::error::body_limit) {
      return say(Code::kResourceExhausted, "the answer's body is too large");
    }
    if (error == bhttp::error::end_of_stream || error == bhttp::error::partial_message ||
        error == asio::error::eof || error == asio::ssl::error::stream_truncated) {
      return say(Code::kUnavailable, answered_ ? "the connection ended within the answer"
                                               : "the connection ended without an answer");
    }
    if (error.category() == make_error_code(bhttp::error::bad_method).category()) {
      return say(Code::kDataLoss, fmt::format("not an HTTP/1.1 answer: {}", error.message()));
    }
    say(Code::kUnavailable, error.message());
  }

  void Finish(Outcome outcome) {
    parser_.reset();
    if (buffer_.capacity() > kChunk) {  // an idle connection keeps no big answer in memory
      buffer_.consume(buffer_.size());
      buffer_.shrink_to_fit();
    }
    answered_ = false;
    handler_ = nullptr;
    const auto done = std::exchange(done_, nullptr);
    if (done) done(std::move(outcome));
  }

  const ClientOptions& options_;
  const std::string server_name_;
  const std::string server_;  // for messages
  const TlsContext tls_;      // before stream_, which uses it
  tcp::resolver resolver_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::array<char, kChunk> chunk_;
  bhttp::request<bhttp::string_body> message_;
  std::optional<bhttp::response_parser<bhttp::buffer_body>> parser_;
  std::chrono::milliseconds idle_{0};
  std::function<void(Status)> connected_;
  std::function<void(Outcome)> done_;
  const StreamHandler* handler_ = nullptr;
  std::uint64_t use_ = 0;  // exchanges so far
  bool answered_ = false;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<ClientConnection> MakeConnection(asio::io_context& io, const ClientOptions& options,
                                                 TlsContext tls, const std::string& server_name) {
  if (tls == nullptr) {
    return std::make_shared<BeastConnection<PlainStream>>(io, options, nullptr, server_name);
  }
  asio::ssl::context& context = *tls;
  return std::make_shared<BeastConnection<TlsStream>>(io, options, std::move(tls), server_name,
                                                      context);
}

}  // namespace aliquot::http
