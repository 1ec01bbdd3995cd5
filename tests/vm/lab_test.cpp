// SPDX-License-Identifier: Apache-2.0
// The whole of it on the kernels that nodes have: cloud, fabric, daemons, plugin, pods.
#include <doctest/doctest.h>

#include "tests/lab/cluster.h"

using namespace terway;
using namespace terway::test;

TEST_CASE("two nodes with pods come up on this kernel, and everybody reaches everybody") {
  Shape shape;
  shape.nodes = 2;
  shape.pods = 2;
  shape.ip_stack = "dual";
  Cluster cluster(shape);
  cluster.check_matrix();
  cluster.check_audit();
}
