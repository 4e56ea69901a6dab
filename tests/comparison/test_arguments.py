"""Seeds and options of a cluster, as they are written."""

import pytest

from neurodyn.comparison.arguments import cluster_options, seed_numbers


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", 3), ("3-5", [3, 4, 5]), ("7-7", [7]), ("0,4,7-8", [0, 4, 7, 8]), ("2, 1", [2, 1])],
)
def test_seeds(text, seeds):
    assert seed_numbers(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("three", "seeds: expected a number, or seeds such as 3-5 or 0,4, got 'three'"),
        ("-1", "seeds: expected a number, or seeds such as 3-5 or 0,4, got '-1'"),
        ("5-3", "seeds: expected 3-5, got 5-3"),
        ("1,0-2", "seeds: expected different ones, got 1,0-2"),
    ],
)
def test_wrong_seeds(text, message):
    with pytest.raises(ValueError, match=message):
        seed_numbers(text)


def test_options_of_a_cluster():
    given = [
        "--cluster.partition",
        "gpu",
        "--data.limit=3",
        "--cluster.time=60",
        "--cluster.mem=8G",
    ]
    options = {"partition": "gpu", "time": 60, "mem": "8G"}
    assert cluster_options(given) == (options, ["--data.limit=3"])
    with pytest.raises(ValueError, match=r"--cluster\.time: expected a value, got --data"):
        cluster_options(["--cluster.time", "--data"])
