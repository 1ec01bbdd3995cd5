// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins the reference caller of CNI plugins, which ./install builds.
package tools

import _ "github.com/containernetworking/cni/cnitool"
