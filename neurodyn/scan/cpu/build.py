"""From a CPU kernel's source to a function: through LLVM, or from machine code in the cache."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from neurodyn.files import keep, keep_text, kept
from neurodyn.scan.cpu.denormals import definitions

Kernel = Callable[[int, int, Any], None]
_count = itertools.count()
SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


def kernel(name: str, function: str, source: Callable[[], str]) -> Kernel:
    """A kernel: a function of its first task, the last one, and the address of its arguments. Other
    threads of Python run while it does.

    Args:
        name: the name of its files, which no other kernel may have.
        function: the function's name in the source.
        source: writes the source; called if the cache has no machine code.
    """
    name = f"{name}_{_toolchain()}"
    code = kept(f"{name}.o")
    if code is None:
        text = source()
        code = machine_code(text)
        keep_text(f"{name}.ll", text)
        keep(f"{name}.o", code)
    return loaded(name, function, code)


def machine_code(source: str) -> bytes:
    """The object file that LLVM makes of a source."""
    module = llvm.parse_assembly(source)
    module.link_in(llvm.parse_assembly(definitions()))
    module.verify()
    target = _target()
    module.triple, module.data_layout = target.triple, str(target.target_data)
    # Kernels have vectors already, and loops that are unrolled as far as it pays.
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    passes = llvm.create_pass_builder(target, options)
    passes.getModulePassManager().run(module, passes)
    with _addresses_as_written():
        result: bytes = target.emit_object(module)
    return result


@contextmanager
def _addresses_as_written() -> Iterator[None]:
    """Without LLVM's loop strength reduction, which takes a fifth of the time to compile a kernel
    and makes it no faster: an address is a row's start and an offset that all its rows share.

    The switch is the process's. What another library compiles meanwhile is as correct.
    """
    llvm.set_option("neurodyn", "-disable-lsr=true")
    try:
        yield
    finally:
        llvm.set_option("neurodyn", "-disable-lsr=false")


def loaded(name: str, function: str, code: bytes) -> Kernel:
    """The function in an object file, loaded into this process."""
    library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    tracker = library.export_symbol(function).link(_linker(), f"{name}.{next(_count)}")
    result = SIGNATURE(tracker[function])
    result.tracker = tracker  # type: ignore[attr-defined]  # Keeps the machine code.
    return result


@lru_cache(maxsize=1)
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=_features(),
        opt=2,
        reloc="pic",
        codemodel="small",
    )


@lru_cache(maxsize=1)
def _linker() -> Any:
    _target()
    return llvm.create_lljit_compiler()


def wide_registers() -> bool:
    """Whether the processor has 32 registers of 64 bytes; else it is taken to have half of both."""
    return bool(llvm.get_host_cpu_features().get("avx512f"))


def _features() -> str:
    features: str = llvm.get_host_cpu_features().flatten()
    return features


@lru_cache(maxsize=1)
def _toolchain() -> str:
    """What machine code depends on besides the step: this package, LLVM and the processor."""
    package = Path(__file__).parents[2]
    sources = [path for room in ("step", "scan") for path in (package / room).rglob("*.py")]
    own = b"".join(path.read_bytes() for path in sorted(sources))
    machine = f"{platform.machine()} {llvm.get_host_cpu_name()} {_features()}"
    text = f"{llvmlite.__version__} {llvm.llvm_version_info} {machine}".encode()
    return hashlib.sha256(text + own).hexdigest()[:12]
