// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/testing_server.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

namespace aliquot::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using beast::error_code;

using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

class Connection {
 public:
  virtual ~Connection() = default;
  virtual void Start() = 0;
  virtual void Drop() = 0;
};

std::string HeadText(int status, const Headers& headers) {
  std::string out =
      fmt::format("HTTP/1.1 {} {}\r\n", status,
                  std::string(bhttp::obsolete_reason(static_cast<bhttp::status>(status))));
  for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
  return out;
}

std::string CommonName(SSL* ssl) {
  X509* certificate = ::SSL_get1_peer_certificate(ssl);
  if (certificate == nullptr) return "";
  char name[256] = {};
  ::X509_NAME_get_text_by_NID(::X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof(name));
  ::X509_free(certificate);
  return name;
}

// Everything private runs on the server's thread.
template <typename Stream>
class TestingConnection final : public Connection,
                                public TestingExchange,
                                public std::enable_shared_from_this<TestingConnection<Stream>> {
 public:
  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;

  template <typename... Args>
  TestingConnection(asio::io_context& io, const TestingServer::Handler& handler, std::size_t number,
                    tcp::socket socket, Args&... args)
      : io_(io), handler_(handler), number_(number), stream_(std::move(socket), args...) {}
  ~TestingConnection() override { RunGone(); }

  void Start() override {
    if constexpr (kTls) {
      stream_.async_handshake(asio::ssl::stream_base::server, [self = Self()](error_code error) {
        if (error) return self->Drop();
        self->Read();
      });
    } else {
      Read();
    }
  }

  void Drop() override {
    gone_ = true;
    Tcp().close();
    RunGone();
  }

  const ReceivedRequest& request() const override { return request_; }
  void Respond(int status, Headers headers, std::string body) override {
    headers.emplace_back("Content-Length", std::to_string(body.size()));
    Queue(HeadText(status, headers) + "\r\n" + body, true);
  }
  void StartStream(int status, Headers headers) override {
    headers.emplace_back("Transfer-Encoding", "chunked");
    Queue(HeadText(status, headers) + "\r\n");
  }
  void Send(std::string chunk) override {
    Queue(fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk));
  }
  void SendRaw(std::string bytes) override { Queue(std::move(bytes)); }
  void Finish() override { Queue("0\r\n\r\n", true); }
  void HalfClose() override {
    Later([this] {
      closing_ = [this] {
        error_code ignored;
        Tcp().socket().shutdown(tcp::socket::shutdown_send, ignored);
      };
      Write();
    });
  }
  void Close() override {
    Later([this] {
      closing_ = [this] { Drop(); };
      Write();
    });
  }
  void Reset() override {
    Later([this] {
      error_code ignored;
      Tcp().socket().set_option(asio::socket_base::linger(true, 0), ignored);
      Drop();
    });
  }
  void After(std::chrono::milliseconds delay, std::function<void()> task) override {
    auto timer = std::make_shared<asio::steady_timer>(io_, delay);
    timer->async_wait([timer, task = std::move(task)](error_code error) {
      if (!error) task();
    });
  }
  void OnGone(std::function<void()> task) override {
    // At once on the server's thread: nothing may come between.
    asio::dispatch(io_, [self = Self(), task = std::move(task)] {
      if (self->gone_) return task();
      self->on_gone_.push_back(task);
    });
  }

 private:
  std::shared_ptr<TestingConnection> Self() { return this->shared_from_this(); }
  beast::tcp_stream& Tcp() { return beast::get_lowest_layer(stream_); }
  // In the order of the calls, whoever calls: what asio is given on its own thread may run after
  // what another thread gives it later.
  void Later(std::function<void()> task) {
    {
      std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    asio::post(io_, [self = Self()] { self->RunNext(); });
  }
  void RunNext() {
    std::function<void()> task;
    {
      std::lock_guard lock(mutex_);
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
  void RunGone() {
    for (const auto& task : std::exchange(on_gone_, {})) task();
  }

  void Read() {
    parser_.emplace();
    parser_->body_limit(boost::none);
    bhttp::async_read(stream_, buffer_, *parser_, [self = Self()](error_code error, std::size_t) {
      if (error) return self->Drop();
      self->Handle();
    });
  }

  void Handle() {
    auto message = parser_->release();
    request_ = {};
    request_.method = std::string(message.method_string());
    request_.target = std::string(message.target());
    for (const auto& field : message) {
      request_.headers.emplace_back(field.name_string(), field.value());
    }
    request_.body = std::move(message.body());
    request_.connection = number_;
    if constexpr (kTls) request_.client_name = CommonName(stream_.native_handle());
    answering_ = true;
    // Clients send nothing until they are answered, so whatever comes is the end.
    Tcp().socket().async_wait(tcp::socket::wait_read, [self = Self()](error_code error) {
      if (!error && self->answering_) self->Drop();
    });
    handler_(Self());
  }

  // `last`: the answer ends with it.
  void Queue(std::string bytes, bool last = false) {
    Later([this, bytes = std::move(bytes), last] {
      queue_.push_back(bytes);
      ended_ |= last;
      Write();
    });
  }

  void Write() {
    if (writing_ || gone_) return;
    if (queue_.empty()) {
      if (closing_) return std::exchange(closing_, nullptr)();
      if (!std::exchange(ended_, false)) return;
      error_code ignored;
      Tcp().socket().cancel(ignored);  // the wait of Handle
      return Read();
    }
    writing_ = true;
    // The client may ask again before we hear that all is written.
    if (ended_ && queue_.size() == 1) answering_ = false;
    asio::async_write(stream_, asio::buffer(queue_.front()),
                      [self = Self()](error_code error, std::size_t) {
                        self->writing_ = false;
                        if (error) return self->Drop();
                        if (!self->queue_.empty()) self->queue_.pop_front();
                        self->Write();
                      });
  }

  asio::io_context& io_;
  const TestingServer::Handler& handler_;
  const std::size_t number_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
  ReceivedRequest request_;
  std::mutex mutex_;
  std::deque<std::function<void()>> tasks_;  // under the mutex
  std::deque<std::string> queue_;
  std::function<void()> closing_;  // what to do once everything is sent
  std::vector<std::function<void()>> on_gone_;
  bool answering_ = false;
  bool writing_ = false;
  bool ended_ = false;
  bool gone_ = false;
};

}  // namespace

std::string_view ReceivedRequest::Find(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (beast::iequals(key, name)) return value;
  }
  return {};
}

class TestingServer::Impl {
 public:
  Impl(TestingServerOptions options, Handler handler)
      : options_(std::move(options)), handler_(std::move(handler)), acceptor_(io_) {}

  Status Open() {
    error_code error;
    if (!options_.certificate.empty()) {
      tls_.emplace(asio::ssl::context::tls_server);
      tls_->use_certificate_chain(asio::buffer(options_.certificate), error);
      if (!error) {
        tls_->use_private_key(asio::buffer(options_.key), asio::ssl::context::pem, error);
      }
      if (!error && !options_.client_ca.empty()) {
        tls_->set_verify_mode(asio::ssl::verify_peer, error);
        tls_->add_certificate_authority(asio::buffer(options_.client_ca), error);
      }
      if (error) return Error{Code::kInvalidArgument, error.message()};
    }
    const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return Error{Code::kUnavailable, error.message()};
    port_ = acceptor_.local_endpoint(error).port();
    Accept();
    thread_ = std::thread([this] { io_.run(); });
    return {};
  }

  std::uint16_t port() const { return port_; }

  void CloseConnections() {
    asio::post(io_, [this] { DropAll(); });
  }

  void Stop() {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      error_code ignored;
      acceptor_.close(ignored);
      DropAll();
      io_.stop();
    });
    thread_.join();
  }

 private:
  void DropAll() {
    for (const auto& weak : std::exchange(connections_, {})) {
      if (const auto connection = weak.lock()) connection->Drop();
    }
  }

  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error) return;
      connections_.remove_if([](const auto& weak) { return weak.expired(); });
      ++count_;
      std::shared_ptr<Connection> connection;
      if (tls_) {
        connection = std::make_shared<TestingConnection<TlsStream>>(io_, handler_, count_,
                                                                    std::move(socket), *tls_);
      } else {
        connection = std::make_shared<TestingConnection<PlainStream>>(io_, handler_, count_,
                                                                      std::move(socket));
      }
      connections_.push_back(connection);
      connection->Start();
      Accept();
    });
  }

  const TestingServerOptions options_;
  const Handler handler_;
  std::optional<asio::ssl::context> tls_;
  std::uint16_t port_ = 0;
  std::size_t count_ = 0;
  std::list<std::weak_ptr<Connection>> connections_;  // before io_: its handlers use it to the end
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  std::thread thread_;
};

TestingServer::TestingServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

TestingServer::~TestingServer() { Stop(); }

Result<std::unique_ptr<TestingServer>> TestingServer::Start(TestingServerOptions options,
                                                            Handler handler) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
  if (Status status = impl->Open(); !status.ok()) return status.error();
  return std::unique_ptr<TestingServer>(new TestingServer(std::move(impl)));
}

std::uint16_t TestingServer::port() const { return impl_->port(); }

void TestingServer::CloseConnections() { impl_->CloseConnections(); }

void TestingServer::Stop() { impl_->Stop(); }

}  // namespace aliquot::http
