"""Comparisons from Python and notebooks: `neurodyn.compare`."""

import contextlib as _contextlib
import sys as _sys
import warnings as _warnings

if "IPython" in _sys.modules:
    # In a notebook without widgets its first import warns that bars are plain. Ours are not.
    with _warnings.catch_warnings(), _contextlib.suppress(ImportError):
        _warnings.filterwarnings("ignore", message="IProgress not found")
        import tqdm.auto as _  # noqa: F401
