// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/connection.h"

#include <boost/asio/dispatch.hpp>
#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <optional>
#include <utility>

namespace aliquot::http {
namespace {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;

using BeastResponse = bhttp::response<bhttp::string_body>;

Response Refusal(int status, const char* text) {
  return {status, "text/plain; charset=utf-8", std::string(text) + "\n"};
}

Response Answer(const Routes& routes, const Request& request) {
  const auto route = routes.find(request.path);
  if (route == routes.end()) return Refusal(404, "no such page");
  if (request.method != "GET" && request.method != "HEAD") {
    return Refusal(405, "only GET and HEAD are served");
  }
  try {
    return route->second(request);
  } catch (const std::exception&) {
    return Refusal(500, "the page could not be made");
  }
}

class BeastConnection final : public Connection,
                              public std::enable_shared_from_this<BeastConnection> {
 public:
  BeastConnection(boost::asio::ip::tcp::socket socket, const Routes& routes, const Limits& limits,
                  std::function<void()> on_close)
      : stream_(std::move(socket)),
        routes_(routes),
        limits_(limits),
        on_close_(std::move(on_close)) {}
  ~BeastConnection() override { on_close_(); }

  void Finish() override {
    finishing_ = true;
    if (!writing_) Abort();
  }

  void Abort() override { stream_.close(); }

  void Read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser_->body_limit(limits_.body_bytes);
    stream_.expires_after(limits_.read);
    bhttp::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](beast::error_code error, std::size_t) { self->OnRead(error); });
  }

 private:
  void OnRead(beast::error_code error) {
    if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
      return Write(Refusal(431, "the request's header is too large"), false, false);
    }
    if (error == bhttp::error::body_limit) {
      return Write(Refusal(413, "the request's body is too large"), false, false);
    }
    if (error.category() == make_error_code(bhttp::error::bad_method).category() &&
        error != bhttp::error::end_of_stream && error != bhttp::error::partial_message) {
      return Write(Refusal(400, "not an HTTP/1.1 request"), false, false);
    }
    if (error || finishing_) return Close();

    auto message = parser_->release();
    Request request;
    request.method = std::string(message.method_string());
    const std::string target(message.target());
    const std::size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    if (mark != std::string::npos) request.query = target.substr(mark + 1);
    request.body = std::move(message.body());
    Write(Answer(routes_, request), message.method() == bhttp::verb::head, message.keep_alive());
  }

  // `head_only`: the answer to HEAD, which tells the body's length without sending it.
  void Write(Response response, bool head_only, bool keep_alive) {
    response_ = BeastResponse();
    response_.version(11);
    response_.result(static_cast<unsigned>(response.status));
    response_.set(bhttp::field::content_type, response.content_type);
    response_.set("X-Content-Type-Options", "nosniff");
    response_.set(bhttp::field::cache_control, "no-store");
    if (response.status == 405) response_.set(bhttp::field::allow, "GET, HEAD");
    response_.keep_alive(keep_alive && !finishing_);
    response_.content_length(response.body.size());
    if (!head_only) response_.body() = std::move(response.body);
    writing_ = true;
    stream_.expires_after(limits_.write);
    bhttp::async_write(stream_, response_,
                       [self = shared_from_this()](beast::error_code error, std::size_t) {
                         self->OnWritten(error);
                       });
  }

  void OnWritten(beast::error_code error) {
    writing_ = false;
    const bool again = !error && response_.keep_alive() && !finishing_;
    response_ = BeastResponse();  // an idle connection keeps no page in memory
    if (!again) return Close();
    Read();
  }

  void Close() {
    beast::error_code ignored;
    stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
    stream_.close();
  }

  beast::tcp_stream stream_;
  beast::flat_static_buffer<8u << 10> buffer_;
  std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
  BeastResponse response_;
  const Routes& routes_;
  const Limits& limits_;
  std::function<void()> on_close_;
  bool writing_ = false;
  bool finishing_ = false;
};

}  // namespace

std::shared_ptr<Connection> Serve(boost::asio::ip::tcp::socket socket, const Routes& routes,
                                  const Limits& limits, std::function<void()> on_close) {
  auto connection =
      std::make_shared<BeastConnection>(std::move(socket), routes, limits, std::move(on_close));
  connection->Read();
  return connection;
}

}  // namespace aliquot::http
