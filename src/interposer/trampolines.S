/* SPDX-FileCopyrightText: 2026 The Aliquot Authors
   SPDX-License-Identifier: Apache-2.0 */

/* For every ENTRY of the list: a function of that name that jumps to where its slot says. All
   arguments stay where they are, so that functions of any signature pass. A slot begins with a stub
   that has the name looked up first; it does so once, and only for functions that are called.

   The functions are weak: a file that defines one takes its place (a hook), and calls the real one
   through the slot. */

#if !defined(__x86_64__)
#error "trampolines are written for x86-64 only so far"
#endif

  .set aliquot_index, 0

  .macro forward name
  .text
  .p2align 4
  .weak \name
  .type \name, @function
\name:
.Ltrampoline_\name:
  endbr64
  jmp *(aliquot_slots + 8 * aliquot_index)(%rip)
  .size \name, . - \name
  .p2align 4
.Lstub_\name:
  endbr64
  pushq $aliquot_index
  jmp aliquot_look_up
  .section .data.slots, "aw", @progbits
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

#define ENTRY(name) forward name
#include ALIQUOT_SYMBOLS

  .section .rodata.count, "a", @progbits
  .p2align 2
  .globl aliquot_count
  .hidden aliquot_count
aliquot_count:
  .long aliquot_index

  .section .note.GNU-stack, "", @progbits
