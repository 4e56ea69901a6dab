"""A user's own neuron, network and data, on the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neurodyn.cli import main

FAST = ["--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"]
SMALL = ["--data.limit=100"]


def refused(capsys, *arguments):
    assert main([*arguments]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_compare_names_a_neuron_of_mine(here, capsys):
    neurons = "lif,mine.TwoState,short@twostate:per=neuron:threshold=2"
    compare = ["compare", "--import=mine", "--config=sequential-digits", "--neurons", neurons]
    assert main([*compare, "--seeds=1", "--out=runs", *FAST, *SMALL]) == 0
    table = capsys.readouterr().out
    assert "| mine.TwoState |" in table
    assert "all on one page: runs/report.html\n" in table
    page = Path("runs/report.html").read_text()
    assert "mine.TwoState" in page
    assert "could not be drawn" not in page
    assert "| short " in table
    folders = {path.name for path in Path("runs").iterdir() if path.is_dir()}
    assert folders == {"lif", "mine.TwoState", "short"}
    config = Path("runs/mine.TwoState/seed-0/config.yaml").read_text()
    assert "class_path: mine.TwoState" in config
    assert "per: neuron" in config, "the recipe's granularity holds for a neuron of mine too"
    assert " reset:" not in config, "and LIF's reset does not"
    assert "threshold: 2" in Path("runs/short/seed-0/config.yaml").read_text()


def test_fit_and_test_name_all_three(here, capsys):
    own = ["--import=mine", "--network=mine.Net", "--neuron", "mine.TwoState", "--data=mine.Data"]
    assert main(["fit", *own, "--config=digits", *FAST]) == 0
    (best,) = here.rglob("best.ckpt")
    (config,) = here.rglob("config.yaml")
    for name in ("mine.Net", "mine.TwoState", "mine.Data"):
        assert f"class_path: {name}\n" in config.read_text()
    assert main(["test", *own, "--config=digits", "--ckpt_path", str(best)]) == 0
    assert "energy_nJ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--neurons=lif,mine.TwoState"], "neurons: importing 'mine.TwoState' is not"),
        (["fit", "--config=digits", "--neuron=mine.TwoState"], "neuron: importing 'mine.TwoState'"),
        (["fit", "--config=digits", "--network=mine.Net"], "Importing 'mine.Net' is not allowed"),
        (["fit", "--config=digits", "--data=mine.Data"], "Importing 'mine.Data' is not allowed"),
    ],
)
def test_a_module_that_was_not_imported(capsys, arguments, message):
    error = refused(capsys, *arguments)
    assert message in error
    assert "name it on the command line: --import mine" in error
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--neurons=mine.TwoStat"], "Did you mean 'mine.TwoState'?"),
        (["compare", "--neurons=mine.nowhere.X"], "neurons: unknown name 'mine.nowhere.X'. Known:"),
        (["compare", "--neurons=TwoStat"], "Did you mean 'mine.TwoState'?"),
        (["compare", "--neurons=mine.Data"], "expected a neuron, a subclass of neurodyn.Neuron"),
        (["compare", "--neurons=mine.Data"], "got mine.Data, a subclass of ImageData ("),
        (["compare", "--neurons=mine.make"], "got mine.make, function ("),
        (["compare", "--neurons=mine.Neuron"], "got mine.Neuron, a base ("),
        (["compare", "--neurons=lif,mine.LIF"], "neurons: expected different ones"),
        (["compare", "--neurons=mine.TwoState,twostate"], "neurons: expected different ones"),
        (["compare", "--neurons=mine.TwoState:dgree=2"], "Option 'dgree' is not accepted"),
        (["compare", "--neurons=neurodyn.LNN"], "Did you mean 'lnm'?"),
        (["compare", "--neurons=mine.Short"], "expected step(self, x, u) of Short, the input and"),
        (["fit", "--config=digits", "--neuron=mine.TwoStat"], "Did you mean 'mine.TwoState'?"),
        (["fit", "--config=digits", "--network=mine.Nett"], "Did you mean 'Net'?"),
        (["fit", "--config=digits", "--data=mine.Dat"], "Did you mean 'Data'?"),
        (["fit", "--data=mine.Data"], "expected a recipe, such as --config images or --config"),
        (["fit", "--config=digits", "--data=mine.Net"], "Import path mine.Net does not correspond"),
    ],
)
def test_a_wrong_name_in_a_module_of_mine(capsys, arguments, message):
    error = refused(capsys, *arguments, "--import=mine")
    assert message in error
    assert "expects a function or a callable class" not in error
    assert "not accessible or invalid" not in error


def test_a_network_of_mine_without_an_annotation(here, capsys):
    code = (here / "mine.py").read_text().replace("neuron: NeuronFactory = LIF", "neuron=LIF")
    (here / "mine.py").write_text(code)
    fit = ["fit", "--import=mine", "--network=mine.Net", "--config=digits", *FAST, *SMALL]
    assert main([*fit, "--neuron=lnm"]) == 0
    error = refused(capsys, *fit, "--neuron=lnm:degree=2")
    assert "model.network.neuron: mine.Net has no annotation for it, so it takes no" in error
    assert "write neuron: neurodyn.neurons.NeuronFactory = LIF" in error


def test_two_modules_with_a_class_of_one_name(here, capsys):
    (here / "other.py").write_text("from mine import Neuron\nclass TwoState(Neuron): pass")
    error = refused(capsys, "compare", "--import=mine", "--import=other", "--neurons=twostate")
    assert "neurons: 'twostate' can be mine.TwoState or other.TwoState; name one of them" in error


def test_a_module_without_neurons_is_named_with_its_file(here, capsys):
    (here / "empty.py").write_text("x = 1")
    error = refused(capsys, "compare", "--import=empty", "--neurons=empty.X")
    assert "expected a neuron, got empty.X; the module 'empty' has none" in error
    assert str(here / "empty.py") in error


@pytest.mark.parametrize(
    ("module", "code", "message"),
    [
        ("nowhere", "", "No module named 'nowhere'. The installed packages and the current folder"),
        ("bad", "import nothing", "No module named 'nothing' ("),
        ("bad", "x = 1\ny = what", "NameError: name 'what' is not defined ("),
        ("bad", "def f(:", "SyntaxError: invalid syntax ("),
        ("bad.py", "", "import: expected the name of a module, such as bad, got 'bad.py'"),
        ("./bad", "", "import: expected the name of a module, such as bad, got './bad'"),
    ],
)
def test_a_module_that_cannot_be_imported(here, capsys, module, code, message):
    (here / "bad.py").write_text(code)
    error = refused(capsys, "compare", f"--import={module}")
    assert message in error
    if code:
        assert f"bad.py, line {len(code.splitlines())})" in error
    elif module == "nowhere":
        assert str(here) in error


def test_python_m_neurodyn_is_the_command(here):
    # A file of the user's must not hide an installed package.
    (here / "torch.py").write_text("raise AssertionError('the current folder comes last')")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*arguments):
        command = [sys.executable, "-m", "neurodyn", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert run("--help").stdout.startswith("usage: neurodyn [-h]")
    done = run("list", "neurons", "--import", "mine")
    assert done.returncode == 0, done.stderr
    assert "\nmine.TwoState     A membrane with a slow current\n" in done.stdout
    assert run("list", "nothing").returncode == 2
