// SPDX-License-Identifier: Apache-2.0
// What a lab looks like: tables for people, JSON for machines.
#pragma once

#include <string>
#include <vector>

#include "base/table.h"
#include "lab/lab.h"

namespace terway::lab {

std::string nodes_table(const std::vector<NodeStatus>& nodes, Colour colour);
std::string pods_table(const std::vector<PodOnNode>& pods, Colour colour);
std::string enis_table(const std::vector<EniOfNode>& enis, Colour colour);
// By kind and protocol, with the lost ones listed below.
std::string matrix_table(const Matrix& matrix, Colour colour);

std::string status_json(const std::string& lab, const std::vector<NodeStatus>& nodes,
                        const std::vector<EniOfNode>& enis, const std::vector<PodOnNode>& pods);
std::string pod_json(const PodOnNode& pod);
// {"ok":N,"failed":N,"probes":[{"from","to","kind","protocol","target","ok","rtt_us","lost_at"},…]}
std::string matrix_json(const Matrix& matrix);
std::string answer_json(const Answer& answer);

}  // namespace terway::lab
