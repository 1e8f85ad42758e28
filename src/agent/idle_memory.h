// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace aliquot::agent {

// Gives back what a process that does next to nothing need not keep resident: free heap, and pages
// of code and constants, which the kernel reads again from the file when they are used. Costs some
// hundred page faults later. Thread-safe.
void ReleaseIdleMemory();

}  // namespace aliquot::agent
