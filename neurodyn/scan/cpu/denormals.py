"""Numbers too small to be normal count as zero inside CPU kernels.

Membranes and gradients that decay over time become denormal numbers, below 1e-38 in float32, and
many processors take far longer for an operation on one. The floating-point unit of a thread has a
switch. Kernels call `@flush_denormals` first, and `@restore_denormals` last with what it
returned, so that nothing else in the process computes differently.
"""

from __future__ import annotations

import platform

X86 = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define linkonce_odr i64 @flush_denormals() alwaysinline nounwind {
  %place = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %place)
  %before = load i32, ptr %place
  %after = or i32 %before, 32832
  store i32 %after, ptr %place
  call void @llvm.x86.sse.ldmxcsr(ptr %place)
  %wide = zext i32 %before to i64
  ret i64 %wide
}
define linkonce_odr void @restore_denormals(i64 %before) alwaysinline nounwind {
  %place = alloca i32
  %narrow = trunc i64 %before to i32
  store i32 %narrow, ptr %place
  call void @llvm.x86.sse.ldmxcsr(ptr %place)
  ret void
}
"""
"""Bits 15 and 6 of the control register: results are flushed, operands are taken as zero."""
ARM = """
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
define linkonce_odr i64 @flush_denormals() alwaysinline nounwind {
  %before = call i64 @llvm.aarch64.get.fpcr()
  %after = or i64 %before, 16777216
  call void @llvm.aarch64.set.fpcr(i64 %after)
  ret i64 %before
}
define linkonce_odr void @restore_denormals(i64 %before) alwaysinline nounwind {
  call void @llvm.aarch64.set.fpcr(i64 %before)
  ret void
}
"""
"""Bit 24 of the control register does both."""
OTHER = """
define linkonce_odr i64 @flush_denormals() alwaysinline nounwind {
  ret i64 0
}
define linkonce_odr void @restore_denormals(i64 %before) alwaysinline nounwind {
  ret void
}
"""


def definitions(machine: str = platform.machine()) -> str:
    """Both functions, in LLVM's language, for a processor of this name."""
    known = {"x86_64": X86, "amd64": X86, "aarch64": ARM, "arm64": ARM}
    return known.get(machine.lower(), OTHER)
