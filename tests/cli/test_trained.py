"""The commands for trained models, as a user types them."""

import numpy as np
import pytest

from neurodyn.cli import main
from neurodyn.comparison.compare import run_comparison
from neurodyn.training import allowed
from tests.training.own import FileDigits

TINY = ["--config=digits", "--trainer.max_epochs=1", "--data.limit=100"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    allowed.allow("tests.training.own")
    folder = tmp_path_factory.mktemp("commands") / "digits"
    data = "--data=tests.training.own.FileDigits"
    run_comparison([*TINY, data, "--model.network.widths=[4,6]"], ["lif", "qif"], 1, folder)
    return folder


@pytest.fixture
def home(runs):
    return runs / "lif" / "seed-0"


@pytest.fixture(autouse=True)
def elsewhere(here):
    allowed.allow("tests.training.own")
    for number, image in enumerate(FileDigits().read(train=False)[0][:3].numpy()):
        np.save(f"{number}.npy", image)


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return status, output.out, output.err


def test_predict_shows_a_table_or_writes_csv(capsys, home, tmp_path):
    status, shown, _ = run(capsys, "predict", home, "0.npy", "1.npy")
    assert status == 0
    assert "| 0.npy" in shown
    assert "2 samples; " in shown
    status, shown, _ = run(capsys, "predict", home, "0.npy", "1.npy", "--out", "p.csv")
    assert status == 0
    assert shown.startswith("p.csv: 2 samples; ")
    assert (tmp_path / "p.csv").read_text().startswith("file,prediction,probability,0,1,")


def test_a_module_of_the_users_is_named_on_the_command_line(capsys, home, monkeypatch):
    monkeypatch.setattr(allowed, "_named", [])
    status, _, error = run(capsys, "predict", home, "0.npy")
    assert status == 2
    assert "--import MODULE" in error
    assert run(capsys, "predict", "--import", "tests.training.own", home, "0.npy")[0] == 0


def test_energy_of_the_test_set_or_of_files(capsys, home):
    status, shown, _ = run(capsys, "energy", home)
    assert status == 0
    assert "| body.1.neuron |" in shown
    assert "over 360 samples (test set of FileDigits)" in shown
    assert "over 3 samples (files)" in run(capsys, "energy", home, "0.npy", "1.npy", "2.npy")[1]
    for option in (["--data.batch_size", "50"], ["--data.batch_size=50"]):
        assert run(capsys, "energy", home, *option)[1] == shown


def test_card_of_one_run_and_of_several(capsys, runs, home, tmp_path):
    status, shown, _ = run(capsys, "card", home, "--license", "apache-2.0")
    assert (status, shown) == (0, f"{home / 'card'}\n")
    assert "license: apache-2.0" in (home / "card" / "README.md").read_text()
    assert run(capsys, "predict", home / "card", "0.npy")[0] == 0
    status, shown, _ = run(capsys, "card", home, runs / "qif" / "seed-0", "--out", "assets")
    assert status == 0
    assert shown.splitlines()[-1] == "assets/README.md"
    assert (tmp_path / "assets" / "digits-qif-seed-0" / "model.safetensors").is_file()
    table = (tmp_path / "assets" / "README.md").read_text()
    assert table.index("digits-lif-seed-0") < table.index("digits-qif-seed-0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "RUNS", "0.npy"], "Choose one of its runs:\n"),
        (["predict", "nowhere", "0.npy"], "run: expected the folder of a run, found none at no"),
        (["predict", "HOME", "gone.npy"], "gone.npy: there is no such file"),
        (["predict", "HOME", "0.npy", "--outt=x"], "predict: unknown option '--outt=x'"),
        (["predict", "HOME", "0.npy", "--checkpoint=no"], "there are best, last"),
        (["predict", "HOME", "0.npy", "--batch-size=0"], "batch-size: expected at least 1, got 0"),
        (["energy", "HOME", "--trainer.x", "1"], "energy: unknown option '--trainer.x'"),
        (["energy", "HOME", "--data.rot=x"], "Did you mean 'root'?"),
        (["energy", "HOME", "--data.root"], "--data.root: expected a value"),
        (["card", "HOME", "HOME"], "out: expected a folder for the cards of several runs"),
        (["card", "HOME", "--data.root", "x"], "card: unknown option '--data.root'"),
        (["report", "nowhere"], "run: expected a folder of runs, found none at nowhere"),
        (["report", "HOME", "--seeds=1"], "report: unknown option '--seeds=1'"),
    ],
)
def test_mistakes(capsys, runs, home, arguments, message):
    places = {"RUNS": runs, "HOME": home}
    status, _, error = run(capsys, *(places.get(word, word) for word in arguments))
    assert status == 2
    assert message in error


def test_energy_without_the_test_set_says_what_to_do(capsys, tmp_path, monkeypatch):
    x = np.random.default_rng(0).random((40, 5, 3), np.float32)
    np.savez("mine.npz", x=x, y=np.arange(40) % 2)
    small = ["--model.network.widths=[4]", "--trainer.max_epochs=1"]
    compare = ["compare", "--data", "mine.npz", "--neurons", "lif", "--seeds", "1", *small]
    assert run(capsys, *compare)[0] == 0
    (tmp_path / "mine.npz").rename(tmp_path / "moved.npz")
    home = "runs/mine/lif/seed-0"
    status, _, error = run(capsys, "energy", home)
    assert status == 2
    assert "--data.path says where it is now" in error
    assert run(capsys, "energy", home, "moved.npz")[0] == 0
    assert run(capsys, "energy", home, "--data.path", "moved.npz")[0] == 0
    status, _, error = run(capsys, "predict", home, tmp_path)
    assert status == 2
    assert f"got the folder {tmp_path}; name those in it" in error
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    status, _, error = run(capsys, "predict", home, "moved.npz", "--device", "cuda")
    assert status == 2
    assert "device: expected cpu, got cuda" in error
