"""Whether a run whose process was killed is tried again."""

from __future__ import annotations

from pathlib import Path

STUCK = "was killed twice without a new checkpoint"


class Attempts:
    """Counts for each run: it goes on after a kill, unless it was killed twice without a new
    checkpoint. A process that needs more memory than there is would be killed for ever."""

    def __init__(self) -> None:
        self.before: dict[Path, int | None] = {}
        self.stuck: set[Path] = set()

    def begin(self, home: Path) -> None:
        """A process starts to work in the folder of a run."""
        self.before[home] = _changed(home)

    def again(self, home: Path) -> bool:
        """Whether another process is to go on, as this one was killed."""
        if _changed(home) != self.before[home]:
            self.stuck.discard(home)
            return True
        if home in self.stuck:
            return False
        self.stuck.add(home)
        return True


def _changed(home: Path) -> int | None:
    """When the last checkpoint was written."""
    last = home / "last.ckpt"
    return last.stat().st_mtime_ns if last.is_file() else None
