"""What these tests share."""

import pytest

from tests.comparison.runs import finished, start


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "runs" / "digits"
    later = start("2026-05-02T00:00", "neurodyn compare --neurons alif", gpu="H200")
    finished(place, "alif", 0, 91.0, [later])
    first = start("2026-05-01T00:00", "neurodyn compare --neurons plif")
    again = start("2026-05-03T00:00", "neurodyn compare --neurons plif", "fff1234", changed=True)
    finished(place, "plif", 0, 90.0, [first])
    finished(place, "plif", 1, 94.0, [first, again])
    return place
