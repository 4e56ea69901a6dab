import pytest

from neurodyn.errors import require, unknown


def test_unknown_suggests_the_nearest():
    message = str(unknown("neurons", "lmn", ["lif", "lnm"]))
    assert message == "neurons: unknown name 'lmn'. Did you mean 'lnm'? Known: lif, lnm."


def test_unknown_without_a_near_name():
    assert "Did you mean" not in str(unknown("reset", "xyz", ["hard", "soft"]))


def test_require_names_the_extra():
    with pytest.raises(ImportError, match=r"pip install 'neurodyn\[train\]'"):
        require("no_such_package", "train")
