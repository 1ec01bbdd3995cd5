// SPDX-License-Identifier: Apache-2.0
// Answers terway-cli on its socket, and Prometheus and probes on the socket and, if wanted, on TCP.
#pragma once

#include <memory>
#include <string>

#include "agent/datapath_thread.h"
#include "agent/events.h"
#include "agent/metrics.h"
#include "http/server.h"

namespace terway::agent {

class CliServer {
 public:
  // `metrics_listen` "address:port" or empty. References must outlive it.
  static Result<std::unique_ptr<CliServer>> start(const std::string& socket,
                                                  const std::string& metrics_listen, Inbox& inbox,
                                                  const Metrics& metrics, DatapathThread& datapath);

 private:
  CliServer(Inbox& inbox, const Metrics& metrics, DatapathThread& datapath)
      : inbox_(inbox), metrics_(metrics), datapath_(datapath) {}
  http::Response answer(const http::Request& request) const;
  http::Response answer_public(const http::Request& request) const;
  http::Response ask(Question question) const;
  http::Response set_bandwidth(const http::Request& request) const;
  http::Response datapath_report() const;
  http::Response events(std::string_view rest) const;

  Inbox& inbox_;
  const Metrics& metrics_;
  DatapathThread& datapath_;
  std::unique_ptr<http::Server> socket_;
  std::unique_ptr<http::Server> tcp_;
};

}  // namespace terway::agent
