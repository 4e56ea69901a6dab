"""The command `convert`, as a user types it."""

import re

import numpy as np
import pytest

from neurodyn.cli import main
from neurodyn.comparison.compare import run_comparison
from neurodyn.training import allowed

TO = ("--to", "single-spike")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands") / "digits"
    recipe = ["--config=digits", "--trainer.max_epochs=2", "--model.network.widths=[4,6]"]
    run_comparison(recipe, ["plain@lif", "soft@lif:reset=soft", "lnm"], 1, folder)
    return folder


@pytest.fixture(scope="module")
def padded(tmp_path_factory):
    """A run on sequences of different lengths."""
    allowed.allow("tests.training.own")
    folder = tmp_path_factory.mktemp("commands") / "courses"
    recipe = ["--config=sequences", "--data=tests.training.own.Courses", "--trainer.max_epochs=2"]
    recipe += ["--model.network.widths=[6,5]", "--model.readout=last"]
    run_comparison(recipe, ["decaylif"], 1, folder)
    return folder / "decaylif" / "seed-0"


def run(capsys, *arguments):
    status = main(["convert", *map(str, arguments)])
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return status, output.out, output.err


def numbers(pattern, page):
    found = re.search(pattern, page)
    assert found, page
    return [float(number.replace(",", "")) for number in found.groups()]


def test_graded_agrees_in_everything(capsys, runs):
    status, page, _ = run(capsys, runs / "soft" / "seed-0", *TO)
    assert status == 0
    first, counts, answers = numbers(
        r"Agreement: ([\d.]+) % of first spikes, ([\d.]+) % of spike counts, ([\d.]+) % of answers",
        page,
    )
    assert first == counts == answers == 100
    before, after, fired = numbers(
        r"Neurons: ([\d,]+) before, ([\d,]+) after, of which ([\d,]+) fire", page
    )
    assert before == 4 * 64 + 6 * 16
    most, neurons, bound = numbers(r"N n = ([\d,]+) x ([\d,]+) = ([\d,]+)\.", page)
    assert (most * neurons, neurons) == (bound, before)
    assert fired == after <= bound
    assert numbers(r"over ([\d,]+) samples", page) == [360]
    trained, graded, twin = numbers(
        r"Accuracy: as trained ([\d.]+) %, graded ([\d.]+) %, twin ([\d.]+) %", page
    )
    assert graded == twin
    (change,) = numbers(r"Graded emission by itself changes it by ([-+\d.]+) points", page)
    assert change == pytest.approx(graded - trained, abs=0.011)
    small, large, edges = numbers(
        r"Synapses: ([\d,]+) before, ([\d,]+) after, and ([\d,]+) edges between copies", page
    )
    assert small < large
    assert edges > 0


def test_binary_is_tabled_against_the_step(capsys, runs):
    arguments = (runs / "soft" / "seed-0", *TO, "--emission", "binary", "--limit", "70")
    status, page, _ = run(capsys, *arguments, "--batch-size", "32", "--checkpoint", "last")
    assert status == 0
    assert "ran with binary emission" in page
    assert numbers(r"over ([\d,]+) samples", page) == [70]
    rows = [line.split("|") for line in page.splitlines() if re.match(r"\| 1(/\d)? +\|", line)]
    assert [row[1].strip() for row in rows] == ["1", "1/2", "1/4", "1/8"]
    same = [float(row[5]) for row in rows]
    assert same[0] < same[-1]
    assert same[-1] > 95


def test_sequences_of_different_lengths(capsys, padded, monkeypatch):
    allowed.allow("tests.training.own")
    status, page, _ = run(capsys, padded, *TO, "--limit", "30")
    assert status == 0
    assert "Agreement: 100.00 % of first spikes, 100.00 % of spike counts, 100.00 %" in page
    status, page, _ = run(capsys, padded, *TO, "--emission", "binary", "--steps", "40")
    assert status == 0
    assert "Shorter steps were not tried. batches: expected sequences without padding" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["PLAIN", *TO], "plain/seed-0: trained: 'body.1.neuron', LIF, has no single-spike copies"),
        (["PLAIN", *TO], "expected a network that was trained with reset='soft'"),
        (["LNM", *TO], "its membrane is not linear in its input"),
        (["SOFT", *TO, "--steps", "1"], "has the bound 1 and fires"),
        (["SOFT", *TO, "--steps", "0"], "steps: expected at least 1, got 0"),
        (["SOFT", *TO, "--limit", "0"], "limit: expected at least 1, got 0"),
        (["SOFT", *TO, "--batch-size", "0"], "batch-size: expected at least 1, got 0"),
        (["SOFT", *TO, "--trainer.x", "1"], "convert: unknown option '--trainer.x'"),
        (["nowhere", *TO], "run: expected the folder of a run, found none at no"),
    ],
)
def test_mistakes(capsys, runs, arguments, message):
    places = {name.upper(): runs / name / "seed-0" for name in ("plain", "soft", "lnm")}
    status, _, error = run(capsys, *(places.get(word, word) for word in arguments))
    assert status == 2
    assert message in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: --to"),
        (["--to", "nir"], "invalid choice: 'nir'"),
        ([*TO, "--emission", "some"], "invalid choice: 'some'"),
    ],
)
def test_options_that_the_parser_refuses(capsys, runs, arguments, message):
    with pytest.raises(SystemExit):
        run(capsys, runs / "soft" / "seed-0", *arguments)
    assert message in capsys.readouterr().err


def test_without_the_test_set_it_says_what_to_do(capsys, tmp_path, here):
    x = np.random.default_rng(0).random((40, 5, 3), np.float32)
    np.savez("mine.npz", x=x, y=np.arange(40) % 2)
    small = ["--model.network.widths=[4]", "--trainer.max_epochs=1"]
    compare = ["compare", "--data", "mine.npz", "--neurons", "decaylif", "--seeds", "1", *small]
    assert main(compare) == 0
    (tmp_path / "mine.npz").rename(tmp_path / "moved.npz")
    home = "runs/mine/decaylif/seed-0"
    status, _, error = run(capsys, home, *TO)
    assert status == 2
    assert "--data.path says where it is now." in error
    assert run(capsys, home, *TO, "--data.path", "moved.npz")[0] == 0
