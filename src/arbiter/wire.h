/* SPDX-FileCopyrightText: 2026 The Aliquot Authors
   SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the agent and the interposers say to each other: byte layouts only, C as well as C++,
   nothing but libc. docs/wire-protocol.md explains the life of a session and who trusts what; this
   file is the reference for offsets. Little-endian, 64-bit.

   Three things are shared: a directory in the container (the grant), a SOCK_SEQPACKET socket in it,
   and per process two memory files that the agent hands out over the socket: the control page
   (agent writes, process reads) and the status page (process writes, agent takes it as a hint).

   Words in pages are accessed with __atomic builtins, relaxed unless a comment says otherwise. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define ALIQUOT_WIRE_MAGIC 0x54514c41u /* "ALQT" */
/* One number for frames and pages. Both sides refuse another one; see docs/wire-protocol.md. */
#define ALIQUOT_WIRE_VERSION 1u
/* GPUs of one grant at most. An index below is the place of the GPU in the grant's `share` file. */
#define ALIQUOT_WIRE_GPUS 16
#define ALIQUOT_WIRE_MARKERS 32

/* ---- The grant directory inside a container ---------------------------------------------------
   ALIQUOT_GRANT_DIR_VARIABLE counts only when the fixed path does not exist, so that a container
   cannot leave its grant by setting a variable. */
#define ALIQUOT_GRANT_DIR "/run/aliquot/grant"
#define ALIQUOT_GRANT_DIR_VARIABLE "ALIQUOT_GRANT_DIR"
#define ALIQUOT_GRANT_SOCKET "socket" /* SOCK_SEQPACKET, listened on by the agent */
#define ALIQUOT_GRANT_SHARE "share"   /* text, read-only, at most ALIQUOT_GRANT_SHARE_MAX bytes */
#define ALIQUOT_GRANT_SHARE_MAX 16384

/* ---- Control page: agent -> process --------------------------------------------------------- */

/* aliquot_gate.gate: a futex word (shared futex, the agent wakes all). 0 in the two low bits: run
   freely, no accounting. The rest is the epoch, which every change raises by ALIQUOT_GATE_EPOCH. */
#define ALIQUOT_GATE_CLOSED 1u /* hold new work back */
#define ALIQUOT_GATE_SHARED 2u /* count work in flight, keep to cap_us, write markers */
#define ALIQUOT_GATE_EPOCH 4u

/* aliquot_gate.flags */
#define ALIQUOT_GATE_LEARN 1u  /* nobody else runs: durations seen are the kernels' own */
#define ALIQUOT_GATE_FAULTY 2u /* the GPU is lost; gates stay open */

/* aliquot_gate.doorbells: frames that the agent wants, once for each value of gate. */
#define ALIQUOT_RING_WANT 1u /* a thread is about to wait at the gate */
#define ALIQUOT_RING_WORK 2u /* work was submitted */
#define ALIQUOT_RING_IDLE 4u /* everything submitted is known to be complete */

typedef struct aliquot_gate {
  uint32_t gate;
  uint32_t flags;
  uint32_t doorbells;
  uint32_t cap_us;        /* estimated work in flight, this process, at most; 0: no cap */
  uint32_t marker_us;     /* estimated work between two markers; 0: the process chooses (250) */
  uint32_t duty_permille; /* share of wall time when the agent is gone and policy says self-pace */
  uint32_t reserved[10];
} aliquot_gate;

/* What CUDA and NVML answers are made of. Seqlock: seq is odd while the agent writes; a reader
   loads seq (acquire), the fields (relaxed), fence (acquire), seq again, and retries if it changed
   or is odd, at most 1000 times (then it keeps its former copy). Bytes. total = limit free  =
   min(limit - outside - (what this process holds - its unused credit), physical_free) with every
   subtraction stopping at 0. */
typedef struct aliquot_memory {
  uint32_t seq;
  uint32_t process_count; /* of the tenant on this GPU */
  uint64_t limit;         /* of the tenant; 0: memory is not limited on this GPU */
  uint64_t outside;       /* charged to the tenant, beyond what this process holds: other processes
                             without their unused credit, overhead seen by NVML, debts of the dead */
  uint64_t held;          /* the agent's idea of what this process holds, credit included */
  uint64_t physical_free; /* on the GPU; UINT64_MAX: unknown */
  uint64_t credit_target; /* unused credit the process may keep; 0: all allocations are asked for */
  uint64_t offline;       /* further bytes this process may take while the agent is gone */
  uint64_t physical_total; /* of the GPU */
} aliquot_memory;

typedef struct aliquot_control_gpu {
  aliquot_gate gate;     /* line 0: read at every launch when `attention` is set */
  aliquot_memory memory; /* line 1 */
  uint64_t reserved[16];
} aliquot_control_gpu;

/* aliquot_control.policy */
#define ALIQUOT_POLICY_OPEN 0u      /* without an agent run freely */
#define ALIQUOT_POLICY_SELF_PACE 1u /* without an agent keep to duty_permille */

typedef struct aliquot_control {
  /* line 0: written before the page is handed out, never again */
  uint32_t magic;
  uint32_t version;
  uint32_t size; /* bytes of the whole page: sizeof(aliquot_control) rounded up to a page */
  uint32_t gpu_count;
  uint64_t process_id;  /* of the session, unique while this agent runs */
  uint64_t agent_epoch; /* another value after every start of the agent */
  uint32_t policy;
  uint32_t stall_ms; /* waits for the cap pass after so long without progress; 0: not before */
  uint32_t reserved0[6];
  /* line 1: the only word a lone tenant reads. 0: no gate of this process has a low bit set. The
     agent sets it before it closes or shares a gate, and clears it after all are free again. */
  uint32_t attention;
  uint32_t reserved1[15];
  /* line 2: changes every 50 ms or faster while the agent lives. Compared for change only, by the
     reader's own clock: a container may have a time namespace. */
  uint64_t heartbeat;
  uint64_t reserved2[7];
  uint64_t reserved3[8];
  aliquot_control_gpu gpu[ALIQUOT_WIRE_GPUS];
} aliquot_control;

#define ALIQUOT_HEARTBEAT_MS 50u    /* agent: at least every */
#define ALIQUOT_STALE_MS 250u       /* process: agent taken for dead after */
#define ALIQUOT_GATE_WAIT_MS 100u   /* process: one futex wait at most */
#define ALIQUOT_GATE_BOUND_MS 2000u /* process: one launch is held back at most, then it passes */

/* ---- Status page: process -> agent (untrusted) ---------------------------------------------- */

/* A marker stands for a piece of work on one stream. To write one, the process takes slot j with
   issued[j] == done[j], stores cost_ns[j], then issued[j] = a number never used before (release),
   and has the GPU write that number to done[j] after the work. Work in flight on a GPU is
   sum of cost_ns[j] over issued[j] != done[j], plus unmarked_ns. Slots are independent: order among
   them says nothing. Times are the process's CLOCK_MONOTONIC (see hello.monotonic_ns). */
typedef struct aliquot_status_gpu {
  /* line 0: submission, written by any thread of the process */
  uint64_t service_ns;     /* estimated GPU time of everything ever submitted */
  uint64_t unmarked_ns;    /* of that, after the last marker; always small */
  uint64_t last_submit_ns; /* when the last launch was passed on */
  uint64_t launches;       /* submitted, small copies too: any change means work */
  uint64_t waited_ns;      /* threads' time spent at the gate, summed */
  uint64_t idle_since_ns;  /* everything known complete since; 0: not known to be idle */
  uint32_t waiting;        /* threads at the gate now */
  uint32_t gate_seen;      /* value of gate that the last submission or wait went by */
  uint64_t learnt_ns;      /* of service_ns, the part whose cost was measured, not guessed */
  /* line 1: memory, bytes */
  uint64_t credit;        /* held and unused. Shared: both sides take from it by compare-exchange
                             (acq_rel); see RELEASE and revocation */
  uint64_t used;          /* held by live allocations, contexts included */
  uint64_t host_pinned;   /* page-locked host memory, for observation */
  uint64_t denied;        /* allocations refused for the limit */
  uint64_t over;          /* held beyond grants: settled after the fact (CHARGE) */
  uint64_t busy_until_ns; /* everything submitted is done then, by estimates; 0: not told */
  uint32_t synchronising; /* threads that wait for the GPU now */
  uint64_t polled_ns;     /* when a query last said that work is not done; 0: never */
  uint32_t reserved[32];
  uint64_t issued[ALIQUOT_WIRE_MARKERS];
  uint64_t cost_ns[ALIQUOT_WIRE_MARKERS];
  uint64_t done[ALIQUOT_WIRE_MARKERS]; /* written by the GPU */
} aliquot_status_gpu;

/* aliquot_status.markers: who fills done[] */
#define ALIQUOT_MARKERS_NONE 0u   /* nobody yet, or the driver can't: only estimates */
#define ALIQUOT_MARKERS_DIRECT 1u /* the GPU, into this page */
#define ALIQUOT_MARKERS_COPIED 2u /* the process, from memory the GPU writes: may lag */

typedef struct aliquot_status {
  uint32_t magic;
  uint32_t version;
  uint32_t size;
  uint32_t markers;
  uint32_t capturing;      /* stream captures under way */
  uint32_t gate_time_outs; /* launches that passed a closed gate after ALIQUOT_GATE_BOUND_MS */
  uint32_t stale_passes;   /* launches that passed a closed gate because the agent was stale */
  uint32_t reserved0[1017];
  aliquot_status_gpu gpu[ALIQUOT_WIRE_GPUS];
} aliquot_status;

/* ---- Frames --------------------------------------------------------------------------------- */
/* Each datagram is one frame: header and body of exactly the size of its type. Both sides drop the
   session on any other size, type or direction. */

enum {
  /* process -> agent, answered */
  ALIQUOT_HELLO = 1,   /* aliquot_hello -> WELCOME (with two descriptors) or REFUSE */
  ALIQUOT_RESERVE = 2, /* aliquot_reserve -> GRANT or DENY, within ALIQUOT_RESERVE_MS */
  ALIQUOT_LIST = 3,    /* aliquot_list -> PROCESSES */
  /* process -> agent, one-way */
  ALIQUOT_RELEASE = 16, /* aliquot_amount: these bytes are held no more */
  ALIQUOT_CHARGE = 17,  /* aliquot_amount: held already, found out after the fact; never refused */
  ALIQUOT_WANT = 18,    /* aliquot_doorbell */
  ALIQUOT_WORK = 19,    /* aliquot_doorbell */
  ALIQUOT_IDLE = 20,    /* aliquot_doorbell */
  ALIQUOT_EVENT = 21,   /* aliquot_event */
  /* agent -> process, only as answers */
  ALIQUOT_WELCOME = 128,
  ALIQUOT_REFUSE = 129,
  ALIQUOT_GRANT = 130,
  ALIQUOT_DENY = 131,
  ALIQUOT_PROCESSES = 132
};

#define ALIQUOT_FRAME_MAX 1024
/* The process waits for WELCOME and for an answer to RESERVE at most. The agent may hold a grant
   back for 2 s while a dead process's memory returns. */
#define ALIQUOT_HELLO_MS 1000u
#define ALIQUOT_RESERVE_MS 3000u

typedef struct aliquot_header {
  uint16_t type;
  uint16_t size; /* of the whole frame */
  uint32_t id;   /* a request's number, repeated in its answer; 0 in one-way frames */
} aliquot_header;

/* aliquot_hello.role */
#define ALIQUOT_ROLE_CUDA 1u /* uses the GPU */
#define ALIQUOT_ROLE_OBSERVER                                        \
  2u /* asks for figures only (NVML); RESERVE and CHARGE are refused \
      */

typedef struct aliquot_hello {
  aliquot_header header;
  uint32_t magic;
  uint32_t version;
  uint32_t role;
  uint32_t pid; /* in the container's PID namespace; the agent's truth is SO_PEERCRED */
  uint64_t
      monotonic_ns; /* the process's CLOCK_MONOTONIC now, to translate times of its status page */
  uint32_t cuda_version; /* of the driver, e.g. 13000; 0: unknown */
  uint32_t gpu_count;    /* lines of the share file the process read */
  uint64_t former_epoch; /* agent_epoch and process_id of the lost session; 0: first HELLO */
  uint64_t former_process_id;
  char name[64]; /* of the program, zero-terminated, for people */
  uint64_t
      held[ALIQUOT_WIRE_GPUS]; /* bytes held now, credit included: what a new agent starts from */
} aliquot_hello;

typedef struct aliquot_welcome {
  aliquot_header header;
  uint32_t version;
  uint32_t gpu_count;
  uint64_t process_id;
  uint64_t agent_epoch;
  uint32_t control_size;
  uint32_t status_size;
  uint8_t uuid[ALIQUOT_WIRE_GPUS][16]; /* of GPU or MIG device, as cuDeviceGetUuid_v2 tells it */
  /* SCM_RIGHTS: control page (sealed against writing), then status page (sealed in size). */
} aliquot_welcome;

/* aliquot_refuse.reason */
#define ALIQUOT_REFUSE_VERSION 1u /* body.version is what the agent speaks */
#define ALIQUOT_REFUSE_FULL 2u    /* too many processes in this grant */
#define ALIQUOT_REFUSE_BUSY 3u    /* try again later */

typedef struct aliquot_refuse {
  aliquot_header header;
  uint32_t reason;
  uint32_t version;
} aliquot_refuse;

/* aliquot_reserve.kind: for metrics; only CONTEXT changes the answer */
#define ALIQUOT_KIND_LINEAR 1u
#define ALIQUOT_KIND_MANAGED 2u
#define ALIQUOT_KIND_ARRAY 3u
#define ALIQUOT_KIND_VIRTUAL 4u
#define ALIQUOT_KIND_POOL 5u
#define ALIQUOT_KIND_GRAPH 6u
#define ALIQUOT_KIND_IMPORT 7u
#define ALIQUOT_KIND_CONTEXT 8u /* bytes 0: as many as a context takes here, the agent knows */

typedef struct aliquot_reserve {
  aliquot_header header;
  uint32_t gpu;
  uint32_t kind;
  uint64_t bytes;  /* needed */
  uint64_t credit; /* welcome on top */
} aliquot_reserve;

typedef struct aliquot_grant {
  aliquot_header header;
  uint64_t bytes;  /* granted for the need: at least reserve.bytes */
  uint64_t credit; /* granted on top */
} aliquot_grant;

typedef struct aliquot_deny {
  aliquot_header header;
  uint64_t charged; /* to the tenant */
  uint64_t limit;
} aliquot_deny;

typedef struct aliquot_amount {
  aliquot_header header;
  uint32_t gpu;
  uint32_t kind;
  uint64_t bytes;
} aliquot_amount;

typedef struct aliquot_doorbell {
  aliquot_header header;
  uint32_t gpu;
  uint32_t gate; /* the value of gate it was rung for */
} aliquot_doorbell;

/* aliquot_event.code */
#define ALIQUOT_EVENT_GATE_TIME_OUT 1u /* a launch passed a closed gate after the bound */
#define ALIQUOT_EVENT_RAN_FREE 2u      /* value: ns for which the agent was taken for dead */
#define ALIQUOT_EVENT_NO_MARKERS 3u    /* the driver can't write markers */

typedef struct aliquot_event {
  aliquot_header header;
  uint32_t gpu;
  uint32_t code;
  uint64_t value;
} aliquot_event;

typedef struct aliquot_list {
  aliquot_header header;
  uint32_t gpu;
  uint32_t first; /* index of the first entry wanted */
} aliquot_list;

typedef struct aliquot_process {
  uint32_t pid; /* in the container's PID namespace */
  uint32_t reserved;
  uint64_t used; /* bytes charged to it, overhead included, unused credit not */
} aliquot_process;

#define ALIQUOT_LIST_ENTRIES 32
typedef struct aliquot_processes {
  aliquot_header header;
  uint32_t total; /* processes there are */
  uint32_t count; /* entries here */
  aliquot_process entry[ALIQUOT_LIST_ENTRIES];
} aliquot_processes;

/* ---- The layout, nailed down ---------------------------------------------------------------- */
static_assert(sizeof(aliquot_gate) == 64, "one line");
static_assert(sizeof(aliquot_memory) == 64, "one line");
static_assert(sizeof(aliquot_control_gpu) == 256, "layout");
static_assert(offsetof(aliquot_control, attention) == 64, "layout");
static_assert(offsetof(aliquot_control, heartbeat) == 128, "layout");
static_assert(offsetof(aliquot_control, gpu) == 256, "layout");
static_assert(sizeof(aliquot_control) == 4352, "layout");
static_assert(offsetof(aliquot_status_gpu, issued) == 256, "layout");
static_assert(offsetof(aliquot_status_gpu, done) == 768, "layout");
static_assert(sizeof(aliquot_status_gpu) == 1024, "layout");
static_assert(offsetof(aliquot_status, gpu) == 4096, "layout");
static_assert(sizeof(aliquot_status) == 20480, "layout");
static_assert(sizeof(aliquot_header) == 8, "layout");
static_assert(sizeof(aliquot_hello) == 248, "layout");
static_assert(sizeof(aliquot_welcome) == 296, "layout");
static_assert(sizeof(aliquot_refuse) == 16, "layout");
static_assert(sizeof(aliquot_reserve) == 32, "layout");
static_assert(sizeof(aliquot_grant) == 24, "layout");
static_assert(sizeof(aliquot_deny) == 24, "layout");
static_assert(sizeof(aliquot_amount) == 24, "layout");
static_assert(sizeof(aliquot_doorbell) == 16, "layout");
static_assert(sizeof(aliquot_event) == 24, "layout");
static_assert(sizeof(aliquot_list) == 16, "layout");
static_assert(sizeof(aliquot_processes) == 528, "layout");
