// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace aliquot::agent {

// Gives back what is resident only because it was needed once, at the start or for a change: free
// heap, and pages of code and constants, which the kernel maps again from its cache, or reads again
// from the file, when they are used. Costs some hundred minor page faults later. Breakpoints of a
// debugger or of uprobes that were set before are lost. Thread-safe.
void ReleaseIdleMemory();

}  // namespace aliquot::agent
