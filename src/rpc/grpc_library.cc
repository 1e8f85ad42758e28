// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/grpc_library.h"

#include <grpc/grpc.h>

namespace aliquot::rpc {

void KeepGrpc() { grpc_init(); }

}  // namespace aliquot::rpc
