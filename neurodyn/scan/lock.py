"""The lock of whatever is made once in a process: plans, kernels, their modules.

A fork waits until nothing is in the making. A child would otherwise inherit locks, ours and LLVM's,
that a thread held which the child does not have.
"""

from __future__ import annotations

import os
import threading

MAKING = threading.RLock()

if hasattr(os, "register_at_fork"):  # Windows does not fork.
    os.register_at_fork(
        before=MAKING.acquire, after_in_parent=MAKING.release, after_in_child=MAKING.release
    )
