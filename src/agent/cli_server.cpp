// SPDX-License-Identifier: Apache-2.0
#include "agent/cli_server.h"

#include <fmt/core.h>

#include <charconv>
#include <filesystem>
#include <utility>

#include "agent/datapath_report.h"
#include "model/bandwidth.h"
#include "rpc/cli_api.h"

namespace terway::agent {

namespace {

namespace cli = rpc::cli;

constexpr Duration kPatience = std::chrono::seconds(5);

constexpr std::pair<std::string_view, Topic> kTopics[] = {
    {cli::kStatusPath, Topic::Status},   {cli::kPodsPath, Topic::Pods},
    {cli::kEnisPath, Topic::Enis},       {cli::kPoolPath, Topic::Pool},
    {cli::kJournalPath, Topic::Journal}, {cli::kMetadataPath, Topic::Metadata},
    {cli::kMappingPath, Topic::Mapping}, {cli::kConfigPath, Topic::Config},
};

http::Response text(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.headers["Content-Type"] = "text/plain; charset=utf-8";
  response.body = std::move(body);
  return response;
}

http::Response json(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.headers["Content-Type"] = "application/json";
  response.body = std::move(body);
  return response;
}

int status_of(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::NotFound:
      return 404;
    case Error::Kind::Invalid:
      return 400;
    case Error::Kind::Internal:
      return 500;
    default:
      return 503;
  }
}

http::Response refusal(int status, const Error& error) {
  return json(status,
              cli::encode(cli::ErrorReply{std::string(to_string(error.kind())), error.message(),
                                          error.code(), error.request_id()}));
}

// "TYPE", "TYPE/NAME" or nothing, behind /v1/resources.
Question resources(std::string_view rest) {
  Question question;
  question.topic = Topic::Resources;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  question.type = rest.substr(0, slash);
  if (slash < rest.size()) question.name = rest.substr(slash + 1);
  return question;
}

Result<std::optional<std::uint64_t>> limit_of(const char* key, const std::string& text) {
  if (text.empty()) return std::optional<std::uint64_t>();
  return std::optional(TRY_WITHIN(key, model::parse_rate(text)));
}

Result<BandwidthCall> call_of(std::string_view body) {
  const auto order = TRY(cli::decode<cli::BandwidthOrder>(body));
  BandwidthCall call;
  call.pod = order.pod;
  call.ifname = order.ifname;
  call.egress = TRY(limit_of("egress", order.egress));
  call.ingress = TRY(limit_of("ingress", order.ingress));
  call.reply = std::make_shared<Channel<Result<std::string>>>();
  return call;
}

Result<http::Listen> listen_of(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  http::Listen listen;
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  if (colon == std::string::npos ||
      std::from_chars(text.data() + colon + 1, end, port).ptr != end || colon + 1 == text.size()) {
    return Error(Error::Kind::Invalid,
                 fmt::format("metrics_listen: \"{}\" is not allowed: an address and a port, as in "
                             "\"127.0.0.1:9100\"",
                             text));
  }
  listen.address = text.substr(0, colon);
  listen.port = port;
  listen.threads = 2;
  return listen;
}

}  // namespace

Result<std::unique_ptr<CliServer>> CliServer::start(const std::string& socket,
                                                    const std::string& metrics_listen, Inbox& inbox,
                                                    const Metrics& metrics,
                                                    DatapathThread& datapath) {
  std::unique_ptr<CliServer> server(new CliServer(inbox, metrics, datapath));
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(socket).parent_path(), error);
  http::Listen listen;
  listen.unix_path = socket;
  listen.threads = 4;
  server->socket_ = TRY_WITHIN(
      "CLI socket", http::Server::start(listen, [own = server.get()](const http::Request& request) {
        return own->answer(request);
      }));
  if (!metrics_listen.empty()) {
    const http::Listen tcp = TRY(listen_of(metrics_listen));
    server->tcp_ = TRY_WITHIN(
        "metrics", http::Server::start(tcp, [own = server.get()](const http::Request& request) {
          return own->answer_public(request);
        }));
  }
  return server;
}

http::Response CliServer::ask(Question question) const {
  question.reply = std::make_shared<Channel<Result<std::string>>>();
  const auto reply = question.reply;
  const bool plain = question.topic == Topic::Ready;
  if (!inbox_.send(std::move(question))) {
    return refusal(503, Error(Error::Kind::Unavailable, "terwayd is stopping"));
  }
  auto answer = reply->receive_for(kPatience);
  if (!answer) return refusal(503, Error(Error::Kind::Unavailable, "terwayd does not answer"));
  if (!answer->ok()) {
    if (plain) return text(503, answer->error().message() + "\n");
    return refusal(status_of(answer->error().kind()), answer->error());
  }
  if (plain) return text(200, **answer + "\n");
  return json(200, std::move(**answer));
}

http::Response CliServer::set_bandwidth(const http::Request& request) const {
  if (request.method != "PUT") return refusal(405, Error(Error::Kind::Invalid, "only PUT"));
  const auto call = call_of(request.body);
  if (!call.ok()) return refusal(400, call.error());
  const auto reply = call->reply;
  if (!inbox_.send(*call)) {
    return refusal(503, Error(Error::Kind::Unavailable, "terwayd is stopping"));
  }
  auto answer = reply->receive_for(kPatience);
  if (!answer) return refusal(503, Error(Error::Kind::Unavailable, "terwayd does not answer"));
  if (!answer->ok()) return refusal(status_of(answer->error().kind()), answer->error());
  return json(200, std::move(**answer));
}

http::Response CliServer::datapath_report() const {
  const auto seen = datapath_.inspect(datapath::InspectLinks::Yes);
  if (!seen.ok()) return refusal(status_of(seen.error().kind()), seen.error());
  return json(200, cli::encode(report_of(*seen, datapath_.fast_path())));
}

// "", "/N", "/flows" or "/N/flows", behind /v1/events.
http::Response CliServer::events(std::string_view rest) const {
  constexpr std::string_view kFlows = "/flows";
  const bool flows = rest.ends_with(kFlows);
  if (flows) rest.remove_suffix(kFlows.size());
  std::optional<std::uint64_t> after;
  if (!rest.empty()) {
    std::uint64_t number = 0;
    const char* end = rest.data() + rest.size();
    const auto read = std::from_chars(rest.data() + 1, end, number);
    if (rest.front() != '/' || read.ec != std::errc() || read.ptr != end) {
      return refusal(404, Error(Error::Kind::NotFound, "events are asked for by a number"));
    }
    after = number;
  }
  const auto watched = datapath_.watch(after, flows);
  if (!watched.ok()) return refusal(status_of(watched.error().kind()), watched.error());
  cli::Events events;
  events.last = watched->last;
  for (const auto& one : watched->events) events.events.push_back(entry_of(one));
  return json(200, cli::encode(events));
}

http::Response CliServer::answer_public(const http::Request& request) const {
  if (request.method != "GET") return text(405, "only GET\n");
  if (request.path == cli::kMetricsPath) {
    // A datapath that does not answer must not hide all else.
    auto seen = datapath_.inspect(datapath::InspectLinks::No);
    const datapath::Inspection inspection = seen.ok() ? std::move(*seen) : datapath::Inspection{};
    http::Response response = text(200, metrics_.render(datapath_.fast_path(), inspection));
    response.headers["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8";
    return response;
  }
  // Alive is who answers: what it depends on is /readyz.
  if (request.path == cli::kHealthPath) return text(200, "ok\n");
  if (request.path == cli::kReadyPath) {
    Question question;
    question.topic = Topic::Ready;
    return ask(std::move(question));
  }
  return text(404, "there are /metrics, /healthz and /readyz\n");
}

http::Response CliServer::answer(const http::Request& request) const {
  if (!request.path.starts_with("/v1/")) return answer_public(request);
  if (request.path == cli::kBandwidthPath) return set_bandwidth(request);
  if (request.method != "GET") return refusal(405, Error(Error::Kind::Invalid, "only GET"));
  for (const auto& [path, topic] : kTopics) {
    if (request.path != path) continue;
    Question question;
    question.topic = topic;
    return ask(std::move(question));
  }
  const std::string_view path = request.path;
  if (path == cli::kDatapathPath) return datapath_report();
  if (path.starts_with(cli::kEventsPath)) {
    return events(path.substr(std::string_view(cli::kEventsPath).size()));
  }
  if (path == cli::kResourcesPath || path.starts_with(std::string(cli::kResourcesPath) + "/")) {
    return ask(resources(path.substr(std::string_view(cli::kResourcesPath).size())));
  }
  return refusal(404, Error(Error::Kind::NotFound, fmt::format("there is no {}", path)));
}

}  // namespace terway::agent
