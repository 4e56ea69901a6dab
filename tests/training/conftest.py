"""What these tests share."""

import pytest

from neurodyn.comparison.compare import run_comparison

TINY = [
    "--config=digits",
    "--trainer.max_epochs=2",
    "--data=tests.training.own.FileDigits",
    "--data.limit=200",
    "--data.validation=40",
    "--model.network.widths=[4,6]",
]


@pytest.fixture(scope="session")
def comparison(tmp_path_factory):
    """The folder of a comparison on real digits."""
    from neurodyn.training.allowed import allow

    allow("tests.training.own")
    folder = tmp_path_factory.mktemp("trained") / "digits"
    run_comparison(TINY, ["lnm:degree=2"], 1, folder)
    return folder
