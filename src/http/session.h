// SPDX-License-Identifier: Apache-2.0
// One connection of the server. All of it runs in the one thread that waits on the sockets; only
// the handler runs in a worker, so idle connections, of which every client keeps some, hold no
// worker.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <unordered_set>

#include "http/server.h"
#include "http/wire.h"

namespace terway::http {

class Session;

// What the connections of one server share. `sessions` and `stopping` belong to the thread of `io`.
struct Host {
  Host(Handler called, std::size_t threads) : handler(std::move(called)), workers(threads) {}

  Handler handler;
  std::unordered_set<Session*> sessions;
  bool stopping = false;
  asio::io_context io{1};
  asio::thread_pool workers;
};

// Kept alive by what it waits for.
class Session {
 public:
  explicit Session(Host& host) : host_(host) { host_.sessions.insert(this); }
  virtual ~Session() { host_.sessions.erase(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  virtual void start() = 0;
  // Ends now, or with the answer to the request in progress.
  virtual void stop() = 0;

 protected:
  struct Answer {
    std::string text;  // empty: the connection is closed without one
    bool keep_alive = false;
  };

  // A request as the handler takes it, and what its answer depends on.
  struct Asked {
    Request request;
    unsigned version = 11;
    bool keep_alive = false;
  };

  static Answer encode(const Response& response, const Asked& asked);
  Answer answer(const Asked& asked) const noexcept;

  Host& host_;
};

template <class Stream>
class Connection final : public Session, public std::enable_shared_from_this<Connection<Stream>> {
 public:
  // The rest goes to Stream's constructor.
  template <class... Arguments>
  Connection(Host& host, std::string remote_address, Arguments&&... arguments)
      : Session(host),
        remote_address_(std::move(remote_address)),
        stream_(std::forward<Arguments>(arguments)...) {
    buffer_.reserve(kReadBuffer);
  }

  void start() override;
  void stop() override {
    if (!busy_) socket().close();
  }

 private:
  static constexpr bool kTls = !std::is_same_v<Stream, PlainStream>;
  static constexpr auto kIdleTimeout = std::chrono::seconds(60);
  static constexpr auto kRequestTimeout = std::chrono::seconds(30);
  static constexpr auto kGoodbyeTimeout = std::chrono::seconds(1);

  void await_request();
  void on_head(const error_code& error);
  void read_body();
  void on_request(const error_code& error);
  void ask_handler(Asked asked);
  void send(Answer answer);
  void on_sent(const error_code& error);
  void refuse(const error_code& error);
  void refuse(wire::status status, const std::string& why);
  void say_goodbye();

  PlainStream& socket() { return beast::get_lowest_layer(stream_); }
  // A member function as the end of an asynchronous operation.
  auto then(void (Connection::*step)(const error_code&)) {
    return [self = this->shared_from_this(), step](const error_code& error, std::size_t = 0) {
      ((*self).*step)(error);
    };
  }

  const std::string remote_address_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<wire::request_parser<wire::string_body>> parser_;
  Answer answer_;
  bool busy_ = false;  // from a whole request until its answer is sent
};

inline Session::Answer Session::encode(const Response& response, const Asked& asked) {
  wire::response<wire::empty_body> head;
  head.version(asked.version);
  head.result(static_cast<unsigned>(response.status));
  set_headers(head, response.headers);
  head.keep_alive(asked.keep_alive);
  // RFC 9110 8.6: none of these has a body, nor a length.
  const bool bodiless = response.status < 200 || response.status == 204 || response.status == 304;
  if (!bodiless) head.content_length(response.body.size());
  const bool sent = !bodiless && asked.request.method != "HEAD";
  return {text_of(head, sent ? response.body : ""), asked.keep_alive};
}

inline Session::Answer Session::answer(const Asked& asked) const noexcept {
  std::string why = "unknown exception";
  try {
    const Response response = host_.handler(asked.request);
    return response.status == 0 ? Answer() : encode(response, asked);
  } catch (const std::exception& error) {
    why = error.what();
  } catch (...) {
  }
  return encode({500, {{"Content-Type", "text/plain"}}, why + "\n"}, asked);
}

template <class Stream>
void Connection<Stream>::start() {
  if constexpr (kTls) {
    socket().expires_after(kRequestTimeout);
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = this->shared_from_this()](const error_code& error) {
                              // Nobody is there to be told: the peer knows from the alert.
                              if (!error) self->await_request();
                            });
  } else {
    await_request();
  }
}

template <class Stream>
void Connection<Stream>::await_request() {
  parser_.emplace();
  parser_->header_limit(kMaxHead);
  parser_->body_limit(kMaxRequestBody);
  socket().expires_after(kIdleTimeout);
  wire::async_read_header(stream_, buffer_, *parser_, then(&Connection::on_head));
}

template <class Stream>
void Connection<Stream>::on_head(const error_code& error) {
  if (error) return refuse(error);
  const auto& head = parser_->get();
  const auto coding = head[wire::field::transfer_encoding];
  // Beast would take a request with another coding for one without a body, and what follows for
  // the next request.
  if (!coding.empty() && !beast::iequals(coding, "chunked")) {
    return refuse(wire::error::bad_transfer_encoding);
  }
  socket().expires_after(kRequestTimeout);
  const bool waits = beast::iequals(head[wire::field::expect], "100-continue");
  if (!waits || parser_->is_done() || buffer_.size() > 0) return read_body();
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(stream_, asio::buffer(kContinue),
                    [self = this->shared_from_this()](const error_code& failure, std::size_t) {
                      if (!failure) self->read_body();
                    });
}

template <class Stream>
void Connection<Stream>::read_body() {
  wire::async_read(stream_, buffer_, *parser_, then(&Connection::on_request));
}

template <class Stream>
void Connection<Stream>::on_request(const error_code& error) {
  if (error) return refuse(error);
  auto message = parser_->release();
  auto target = parse_target({message.target().data(), message.target().size()});
  if (!target.ok()) return refuse(wire::status::bad_request, target.error().message());
  Asked asked;
  asked.version = message.version();
  asked.keep_alive = message.keep_alive();
  Request& request = asked.request;
  request.method = std::string(message.method_string());
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  request.headers = headers_of(message);
  request.body = std::move(message.body());
  request.remote_address = remote_address_;
  ask_handler(std::move(asked));
}

template <class Stream>
void Connection<Stream>::ask_handler(Asked asked) {
  busy_ = true;
  asio::post(host_.workers, [self = this->shared_from_this(), asked = std::move(asked),
                             work = asio::make_work_guard(host_.io)]() mutable {
    auto answer = self->answer(asked);
    asio::io_context& io = self->host_.io;
    // The session goes along: it must end in its own thread.
    asio::post(io, [own = std::move(self), answer = std::move(answer)]() mutable {
      own->send(std::move(answer));
    });
  });
}

template <class Stream>
void Connection<Stream>::send(Answer answer) {
  if (answer.text.empty()) return socket().close();
  answer_ = std::move(answer);
  socket().expires_after(kRequestTimeout);
  asio::async_write(stream_, asio::buffer(answer_.text), then(&Connection::on_sent));
}

template <class Stream>
void Connection<Stream>::on_sent(const error_code& error) {
  busy_ = false;
  if (error || host_.stopping) return;
  if (answer_.keep_alive) return await_request();
  say_goodbye();
}

template <class Stream>
void Connection<Stream>::refuse(const error_code& error) {
  if (!malformed(error)) return;
  wire::status status = wire::status::bad_request;
  if (error == wire::error::body_limit) status = wire::status::payload_too_large;
  if (error == wire::error::header_limit) status = wire::status::request_header_fields_too_large;
  refuse(status, "malformed HTTP: " + error.message());
}

template <class Stream>
void Connection<Stream>::refuse(wire::status status, const std::string& why) {
  Asked asked;  // "Connection: close"
  send(encode({static_cast<int>(status), {{"Content-Type", "text/plain"}}, why + "\n"}, asked));
}

// RFC 8446 6.1; a peer that does not answer is not waited for long.
template <class Stream>
void Connection<Stream>::say_goodbye() {
  if constexpr (kTls) {
    socket().expires_after(kGoodbyeTimeout);
    stream_.async_shutdown([self = this->shared_from_this()](const error_code&) {});
  }
}

}  // namespace terway::http
