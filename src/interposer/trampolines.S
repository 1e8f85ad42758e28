/* SPDX-FileCopyrightText: 2026 The Aliquot Authors
   SPDX-License-Identifier: Apache-2.0 */

/* For every ENTRY of the list: a function of that name that jumps to where its slot says. All
   arguments stay where they are, so that functions of any signature pass. A slot begins with a stub
   that has the name looked up first; it does so once, and only for functions that are called.

   The functions are weak: a file that defines one takes its place (a hook), and calls the real one
   through the slot. */

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "trampolines are written for x86-64 and aarch64"
#endif

  .set aliquot_index, 0

  .macro forward name
  .text
  .p2align 4
  .weak \name
  .type \name, @function
\name:
.Ltrampoline_\name:
#if defined(__x86_64__)
  endbr64
  jmp *.Lslot_\name(%rip)
#else
  bti c
  adrp x16, .Lslot_\name
  ldr x16, [x16, :lo12:.Lslot_\name]
  br x16
#endif
  .size \name, . - \name
  .p2align 4
.Lstub_\name:
#if defined(__x86_64__)
  endbr64
  pushq $aliquot_index
  jmp aliquot_look_up
#else
  bti c
  mov w17, #aliquot_index
  b aliquot_look_up
#endif
  .section .data.slots, "aw", @progbits
.Lslot_\name:
  .quad .Lstub_\name
  .section .data.rel.ro.exports, "aw", @progbits
  .quad \name
  .section .data.rel.ro.trampolines, "aw", @progbits
  .quad .Ltrampoline_\name
  .section .rodata.names, "a", @progbits
  .asciz "\name"
  .set aliquot_index, aliquot_index + 1
  .endm

  .section .data.slots, "aw", @progbits
  .p2align 6
  .globl aliquot_slots
  .hidden aliquot_slots
aliquot_slots:
  .section .data.rel.ro.exports, "aw", @progbits
  .globl aliquot_exports
  .hidden aliquot_exports
aliquot_exports:
  .section .data.rel.ro.trampolines, "aw", @progbits
  .globl aliquot_trampolines
  .hidden aliquot_trampolines
aliquot_trampolines:
  /* The names one after the other, each ended by a zero, in the order of the slots. */
  .section .rodata.names, "a", @progbits
  .globl aliquot_names
  .hidden aliquot_names
aliquot_names:

#if defined(__x86_64__)
/* On entry: the index on the stack above the return address, arguments in registers and beyond. */
  .text
  .p2align 4
  .type aliquot_look_up, @function
aliquot_look_up:
  .cfi_startproc
  .cfi_adjust_cfa_offset 8
  pushq %rax
  .cfi_adjust_cfa_offset 8
  pushq %rdi
  .cfi_adjust_cfa_offset 8
  pushq %rsi
  .cfi_adjust_cfa_offset 8
  pushq %rdx
  .cfi_adjust_cfa_offset 8
  pushq %rcx
  .cfi_adjust_cfa_offset 8
  pushq %r8
  .cfi_adjust_cfa_offset 8
  pushq %r9
  .cfi_adjust_cfa_offset 8
  pushq %r10
  .cfi_adjust_cfa_offset 8
  subq $128, %rsp
  .cfi_adjust_cfa_offset 128
  movups %xmm0, (%rsp)
  movups %xmm1, 16(%rsp)
  movups %xmm2, 32(%rsp)
  movups %xmm3, 48(%rsp)
  movups %xmm4, 64(%rsp)
  movups %xmm5, 80(%rsp)
  movups %xmm6, 96(%rsp)
  movups %xmm7, 112(%rsp)
  movl 192(%rsp), %edi
  call aliquot_resolve
  movq %rax, %r11
  movups (%rsp), %xmm0
  movups 16(%rsp), %xmm1
  movups 32(%rsp), %xmm2
  movups 48(%rsp), %xmm3
  movups 64(%rsp), %xmm4
  movups 80(%rsp), %xmm5
  movups 96(%rsp), %xmm6
  movups 112(%rsp), %xmm7
  addq $128, %rsp
  .cfi_adjust_cfa_offset -128
  popq %r10
  .cfi_adjust_cfa_offset -8
  popq %r9
  .cfi_adjust_cfa_offset -8
  popq %r8
  .cfi_adjust_cfa_offset -8
  popq %rcx
  .cfi_adjust_cfa_offset -8
  popq %rdx
  .cfi_adjust_cfa_offset -8
  popq %rsi
  .cfi_adjust_cfa_offset -8
  popq %rdi
  .cfi_adjust_cfa_offset -8
  popq %rax
  .cfi_adjust_cfa_offset -8
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  jmp *%r11
  .cfi_endproc
  .size aliquot_look_up, . - aliquot_look_up
#else
/* On entry: the index in w17, arguments in registers and beyond, the caller's address in x30. */
  .text
  .p2align 4
  .type aliquot_look_up, @function
aliquot_look_up:
  .cfi_startproc
  stp x29, x30, [sp, #-224]!
  .cfi_def_cfa_offset 224
  .cfi_offset x29, -224
  .cfi_offset x30, -216
  mov x29, sp
  stp x0, x1, [sp, #16]
  stp x2, x3, [sp, #32]
  stp x4, x5, [sp, #48]
  stp x6, x7, [sp, #64]
  str x8, [sp, #80]
  stp q0, q1, [sp, #96]
  stp q2, q3, [sp, #128]
  stp q4, q5, [sp, #160]
  stp q6, q7, [sp, #192]
  mov w0, w17
  bl aliquot_resolve
  mov x16, x0
  ldp x0, x1, [sp, #16]
  ldp x2, x3, [sp, #32]
  ldp x4, x5, [sp, #48]
  ldp x6, x7, [sp, #64]
  ldr x8, [sp, #80]
  ldp q0, q1, [sp, #96]
  ldp q2, q3, [sp, #128]
  ldp q4, q5, [sp, #160]
  ldp q6, q7, [sp, #192]
  ldp x29, x30, [sp], #224
  .cfi_def_cfa_offset 0
  br x16
  .cfi_endproc
  .size aliquot_look_up, . - aliquot_look_up
#endif

#define ENTRY(name) forward name
#include ALIQUOT_SYMBOLS

  .section .rodata.count, "a", @progbits
  .p2align 2
  .globl aliquot_count
  .hidden aliquot_count
aliquot_count:
  .long aliquot_index

  .section .note.GNU-stack, "", @progbits
