"""The command, as a user types it."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from neurodyn.cli import checkout, main
from neurodyn.training.find import recipe_folder, recipe_names

FAST = ["--trainer.max_epochs=1", "--data.limit=100", "--trainer.enable_progress_bar=false"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    return status, capsys.readouterr().err


def test_fit_validate_test_and_resume(capsys, tmp_path):
    assert main(["fit", "--config", "digits", *FAST]) == 0
    (last,), (best,) = tmp_path.rglob("last.ckpt"), tmp_path.rglob("best.ckpt")
    assert f"best checkpoint: {best.relative_to(tmp_path)}\n" in capsys.readouterr().out
    assert main(["validate", "--config", "digits", "--ckpt_path", str(last)]) == 0
    assert main(["test", "--config", "digits", "--ckpt_path", str(last)]) == 0
    assert "energy_nJ" in capsys.readouterr().out
    more = ["--trainer.max_epochs=2", *FAST[1:]]
    assert main(["fit", "--config", "digits", *more, "--ckpt_path", str(last)]) == 0
    newest = max(tmp_path.rglob("last.ckpt"), key=lambda path: path.stat().st_mtime_ns)
    assert torch.load(newest, weights_only=True)["epoch"] == 1


@pytest.mark.parametrize("command", ["validate", "test"])
@pytest.mark.parametrize("given", [[], ["--ckpt_path=last"], ["--ckpt_path=nowhere.ckpt"]])
def test_an_untrained_network_has_no_accuracy(capsys, command, given):
    status, error = run(capsys, command, "--config", "digits", *given)
    assert status == 2
    came = given[0].partition("=")[2] if given else "none"
    assert f"ckpt_path: expected the file of a checkpoint to {command}, got {came}; `neu" in error


def test_compare(capsys, tmp_path):
    assert main(["compare", "--neurons", "if", "--seeds", "1", "--out", "here", *FAST[:2]]) == 0
    assert "| if " in capsys.readouterr().out
    assert (tmp_path / "here" / "table.md").is_file()


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_parses(capsys, name):
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", name, "--print_config"])
    assert stop.value.code == 0
    assert "network:" in capsys.readouterr().out


def test_help(capsys):
    for arguments in (["--help"], ["compare", "--help"], ["fit", "--help"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        assert "neurodyn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--config", "digts"], "config: unknown name 'digts'. Did you mean 'digits'?"),
        (["compare", "--config", "nowhere/digits.yaml"], "config: unknown name 'nowhere/digits"),
        (["compare", "--neurons", "lif,lmn"], "Did you mean 'lnm'?"),
        (["fit", "--config", "digits", "--model.optm.lr", "1"], "Did you mean 'model.optim.lr'?"),
        (["fit", "--config", "digits", "--model.optim.lr", "x"], "model.optim.lr"),
        (["fit", "--config", "digits", "--model.network.neuron", "QFI"], "Did you mean 'QIF'?"),
        (["fit", "--config", "digits", "--data.limit", "5"], "limit: expected"),
        (["fit", "--config", "mnist", "--data.root", "/nowhere"], "--data.download true"),
        (["fit", "--config", "digits", "--model.timestep", "3"], "Did you mean 'model.timesteps'?"),
        (["compare", "--seed", "1"], "--seed: options are written out. Did you mean '--seeds'?"),
        (["results", "--note", "here"], "expected folders, --notes and --out, got --note"),
        (["study", "transplant", "--source", "/nowhere"], "source: expected the folder of a fin"),
        (["study", "transplant"], "source: the study 'transplant' needs the folder of a finished"),
        (["study", "clp"], "study: unknown name 'clp'. Did you mean 'clip'?"),
    ],
)
def test_mistakes_are_explained(capsys, arguments, message):
    status, error = run(capsys, *arguments)
    assert status == 2
    assert error.startswith("neurodyn: ")
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--data.limit=0"], ["neurodyn: limit: expected at least 10, got 0"]),
        (
            ["--data.augment.crop=x"],
            [
                "neurodyn: recipe: data.augment.crop: Expected a <class 'int'>. Got value: x",
                "--print_config shows every setting, neurodyn fit --help-all explains them.",
            ],
        ),
    ],
)
def test_a_refused_value_is_one_line(capsys, arguments, lines):
    status, error = run(capsys, "fit", "--config", "digits", *arguments)
    assert status == 2
    assert [line for line in error.splitlines() if not line.startswith("Seed set")] == lines


def python(code, *arguments, **options):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("command", [[], ["compare"], ["study"], ["bench"], ["list"], ["fit"]])
def test_help_is_quick_because_it_imports_nothing_heavy(command):
    code = (
        "import atexit, sys; from neurodyn.cli import main;"
        "atexit.register(lambda: print('imported:', *sys.modules)); main(sys.argv[1:])"
    )
    done = python(code, *command, "--help")
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.partition("imported:")[2].split())
    assert "neurodyn.cli" in modules
    heavy = {"torch", "numpy", "lightning", "jsonargparse", "matplotlib", "yaml", "llvmlite"}
    assert not modules & heavy


def test_help_lists_the_studies_with_their_questions(capsys):
    with pytest.raises(SystemExit):
        main(["study", "--help"])
    text = capsys.readouterr().out
    assert "  clip          Does the polynomial need its clip, " in text
    assert "  transplant " in text


def test_a_study_runs_in_the_users_folder(capsys, tmp_path):
    recipe = (recipe_folder() / "digits.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(recipe)
    place = ["--config", "mine.yaml", "--out", "here", "--seeds", "1"]
    assert main(["study", "convergence", *place, *FAST[:2]]) == 0
    table = capsys.readouterr().out
    assert "| plif:per=channel " in table
    assert (tmp_path / "here" / "study.md").read_text() in table
    assert {path.name for path in tmp_path.iterdir()} == {"mine.yaml", "here"}


def test_a_benchmark_runs_in_the_users_folder(monkeypatch, tmp_path):
    source, here = tmp_path / "checkout", tmp_path / "here"
    for folder, word in ((source, "right"), (here, "wrong")):
        (folder / "benchmarks").mkdir(parents=True)
        (folder / "benchmarks" / "__init__.py").touch()
        (folder / "benchmarks" / "speed.py").write_text(
            f"import sys, pathlib; pathlib.Path(sys.argv[2]).write_text({word!r})"
        )
    (source / "pyproject.toml").touch()
    monkeypatch.chdir(here)
    monkeypatch.setattr(checkout, "CHECKOUT", source)
    assert main(["bench", "speed", "--out", "result"]) == 0
    assert (here / "result").read_text() == "right"
    with pytest.raises(ValueError, match=r"bench: unknown name 'sped'\. Did you mean 'speed'"):
        checkout.bench("sped", [])


def test_an_installed_package_says_that_studies_and_benchmarks_need_a_checkout(tmp_path):
    site = tmp_path / "site"
    package = Path(checkout.__file__).parents[1]
    shutil.copytree(package, site / "neurodyn", ignore=shutil.ignore_patterns("__pycache__"))
    # Folders that another package installed.
    for other in ("studies", "benchmarks"):
        (site / other).mkdir()
        (site / other / "__init__.py").write_text("raise AssertionError('not ours')")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = "import sys; from neurodyn.cli import main; sys.exit(main(sys.argv[1:]))"
    for arguments in (["study", "clip"], ["bench", "neurons"]):
        done = python(code, *arguments, env=environment)
        assert done.returncode == 2, done.stderr
        assert "comes with the source checkout of neurodyn" in done.stderr
        assert "Traceback" not in done.stderr
    done = python(code, "study", "--help", env=environment)
    assert done.returncode == 0, done.stderr
    assert "comes with the source checkout of neurodyn" in done.stdout


def test_fit_stops_at_the_target(capsys, tmp_path):
    more = ["--trainer.max_epochs=5", "--data.limit=300", "--trainer.enable_progress_bar=false"]
    assert main(["fit", "--config", "digits", *more, "--target", "1"]) == 0
    (last,) = tmp_path.rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["epoch"] == 0
    status, error = run(capsys, "fit", "--config", "digits", "--target", "0")
    assert status == 2
    assert "target: expected a score in percent, got 0.0" in error


def test_help_shows_no_default_that_is_nothing(capsys):
    for command in ("compare", "study"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        help_text = capsys.readouterr().out
        assert "None" not in help_text
        assert "[]" not in help_text
        assert "(default: 3)" in help_text


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("timestep: 4", "timesteps"), ("max_epoch: 2", "max_epochs"), ("width: [2, 3]", "widths")],
)
def test_a_typo_in_a_recipe_suggests_the_right_name(capsys, tmp_path, wrong, right):
    text = (recipe_folder() / "digits.yaml").read_text()
    key = wrong.split(":")[0]
    lines = [
        line.split(right)[0] + wrong if line.strip().startswith(right) else line
        for line in text.splitlines()
    ]
    (tmp_path / "bad.yaml").write_text("\n".join(lines))
    status, error = run(capsys, "fit", "--config", "bad.yaml")
    assert status == 2
    assert key in error
    assert f"Did you mean '{right}'" in error or f".{right}'" in error


class Payload:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_a_checkpoint_runs_no_code(capsys, tmp_path):
    with open("evil.ckpt", "wb") as file:
        torch.save({"state_dict": Payload()}, file, pickle_module=pickle)
    status, error = run(capsys, "test", "--config", "digits", "--ckpt_path", "evil.ckpt")
    assert not (tmp_path / "pwned").exists()
    assert status == 2
    assert "refused a file that could run code" in error


def test_a_checkpoint_that_is_cut_short_is_named(capsys, tmp_path):
    fit = ["fit", "--config=digits", *FAST, "--checkpoint.dirpath=here"]
    assert main([*fit, "--last_checkpoint.folder=here"]) == 0
    last, best = Path("here/last.ckpt"), Path("here/best.ckpt")
    whole = last.read_bytes()
    for part in (whole[:-40], whole[:1000], b"", whole[:5000] + b"X" + whole[5001:]):
        last.write_bytes(part)
        for command in ("fit", "test"):
            status, error = run(capsys, command, "--config=digits", f"--ckpt_path={last}")
            assert status == 2
            assert error.splitlines()[-1] == (
                f"neurodyn: ckpt_path: expected a whole checkpoint, got a part in {last}; {best} "
                "beside it is whole"
            )
            assert "Traceback" not in error


def test_fit_in_another_folder_remembers_the_best_epoch(capsys, tmp_path):
    fit = ["fit", "--config=digits", FAST[2], "--data.limit=500", "--data.validation=50"]
    fit += ["--model.network.widths=[4,6]"]
    assert main([*fit, "--trainer.max_epochs=3"]) == 0
    (best,), (last,) = tmp_path.rglob("best.ckpt"), tmp_path.rglob("last.ckpt")
    # The last epoch cannot make up for that.
    content = torch.load(last, weights_only=True)
    content["state_dict"]["network.head.2.weight"].zero_()
    torch.save(content, last)
    capsys.readouterr()
    assert main([*fit, "--trainer.max_epochs=4", f"--ckpt_path={last}"]) == 0
    assert f"best checkpoint: {best.relative_to(tmp_path)}\n" in capsys.readouterr().out


def test_a_checkpoint_of_another_network_says_which(capsys, tmp_path):
    small = ["--model.network.widths=[4,6]", "--data.limit=100"]
    lif = ["--config=digits", "--model.network.neuron=LIF"]
    assert main(["fit", *lif, *small, *FAST[::2], "--last_checkpoint.folder=LIF"]) == 0
    status, error = run(capsys, "test", "--config=digits", *small, "--ckpt_path=LIF/last.ckpt")
    assert status == 2
    assert error.splitlines()[-1] == (
        "neurodyn: ckpt_path: the checkpoint is of a ConvNet of LIF, the recipe's network is a "
        "ConvNet of LNM: give --model.network.neuron LIF"
    )
    lif.append("--ckpt_path=LIF/last.ckpt")
    _, error = run(capsys, "test", *lif)
    assert "'network.body.0.0.weight' is of shape (4, 1, 3, 3) there, of shape (24," in error
    assert main(["test", *lif, *small]) == 0


def test_a_fresh_process_can_test(tmp_path):
    """Nothing that another command has left in the process may be needed."""
    assert main(["fit", "--config", "digits", *FAST]) == 0
    (last,) = tmp_path.rglob("last.ckpt")
    command = Path(sys.executable).with_name("neurodyn")
    quiet = ["--trainer.limit_test_batches=1", "--trainer.logger=false"]
    done = subprocess.run(
        [command, "test", "--config", "digits", "--ckpt_path", last, *quiet],
        capture_output=True,
        text=True,
        env={**os.environ, "NEURODYN_CACHE": str(tmp_path / "empty")},
    )
    assert done.returncode == 0, done.stderr
    assert "test_accuracy" in done.stdout


def test_list_options_of_a_neuron():
    neuron = "lnm:start=[0,-1,0.1,0]"
    assert main(["compare", "--neurons", neuron, "--seeds=1", "--out=here", *FAST[:2]]) == 0
    (config,) = Path("here").rglob("seed-0/config.yaml")
    assert "- 0.1" in config.read_text()


def test_a_terminated_training_is_no_success(monkeypatch, capsys):
    def stopped(*given):
        raise SIGTERMException

    monkeypatch.setattr("neurodyn.cli._run", stopped)
    assert main(["compare"]) == 143
    assert "terminated; the same command goes on" in capsys.readouterr().err
    assert main(["fit"]) == 143
    assert capsys.readouterr().err == "neurodyn: terminated\n"
