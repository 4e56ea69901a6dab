"""A training that is killed at the start of an epoch."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from neurodyn.comparison.run import _Watched


class StoppedError(Exception):
    """The run is killed."""


@contextmanager
def stopped_at(epoch: int) -> Iterator[None]:
    """The run inside the context is killed when this epoch begins; one that gets past it fails."""
    advance = _Watched.on_train_epoch_start

    def stop(self, trainer, pl_module):
        if trainer.current_epoch == epoch:
            raise StoppedError
        advance(self, trainer, pl_module)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Watched, "on_train_epoch_start", stop)
        with pytest.raises(StoppedError):
            yield
