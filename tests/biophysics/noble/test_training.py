from types import SimpleNamespace

import pytest
import torch
import yaml

pytest.importorskip("neuralop")
from neurodyn.biophysics.noble import FamilyData, Noble, load, load_run
from neurodyn.biophysics.noble.training import count_spikes, sag_error, shares, sums
from neurodyn.cli import main
from neurodyn.training.find import names_module
from tests.biophysics.noble.conftest import SHORT
from tests.biophysics.noble.test_surrogate import small

TINY = [
    *("--data.traces", "24", "--data.tests", "6", "--data.validation", "8"),
    *("--data.batch_size", "8", "--data.family.models", "5", "--data.family.held_out", "2"),
    *("--data.stimulus.start", "3", "--data.stimulus.duration", "14"),
    *("--data.stimulus.window", "20", "--data.stimulus.jitter", "2"),
    *("--model.network.modes", "16", "--model.network.width", "6"),
    *("--model.network.layers", "2", "--trainer.max_epochs", "2"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
]


def fit(*more, config="noble-small"):
    return main(["fit", "--config", config, *TINY, *more])


def test_the_recipe_trains_and_its_checkpoint_predicts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert fit() == 0
    assert "best checkpoint: runs/fit/version_0/checkpoints/best.ckpt" in capsys.readouterr().out
    run = tmp_path / "runs" / "fit" / "version_0"
    rows = (run / "metrics.csv").read_text()
    for name in ("train_loss", "val_voltage", "val_spikes", "val_missed", "val_false"):
        assert name in rows.splitlines()[0]
    best, data = load_run(run)
    assert best.settings["modes"] == 16
    family = data.family
    # The scale is that of the training models alone.
    low, high = family.features[:3].aminmax(dim=0)
    torch.testing.assert_close(
        torch.stack([best.embedding.low, best.embedding.high]), torch.stack([low, high])
    )
    traces = data.part("held-out models")
    assert set(traces.model.tolist()) == {3, 4}
    assert best.predict(traces.current(), traces.features).isfinite().all()

    config = ["--config", str(run / "config.yaml")]
    assert main(["test", *config, "--ckpt_path", str(run / "checkpoints" / "best.ckpt")]) == 0
    assert "test_voltage" in capsys.readouterr().out
    assert main(["predict", str(run), "traces.npz"]) == 2
    assert "expected the run of a network of neurons" in capsys.readouterr().err
    start = f"--model.start_from={run / 'checkpoints' / 'best.ckpt'}"
    assert fit(start, "--trainer.max_epochs=0", config="noble-sag") == 0


def test_a_resumed_training_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fit() == 0
    assert fit("--trainer.max_epochs", "1") == 0
    last = "runs/fit/version_{}/checkpoints/last.ckpt"
    assert fit("--ckpt_path", last.format(1)) == 0
    one, other = (load(last.format(k)).state_dict() for k in (0, 2))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, msg=name)


def test_the_cosine_ends_with_the_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert fit("--model.schedule", "cosine") == 0
    kept = torch.load(
        "runs/fit/version_0/checkpoints/last.ckpt", weights_only=True, map_location="cpu"
    )
    assert kept["global_step"] == 4
    assert kept["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0, abs=1e-12)
    assert fit("--model.schedule", "cosine", "--trainer.max_epochs", "-1") == 2
    assert "max_epochs: expected it, or max_steps, to be given" in capsys.readouterr().err
    with pytest.raises(ValueError, match="schedule: unknown name 'cosin'"):
        Noble(small(), schedule="cosin")


@pytest.mark.slow
def test_the_recipe_of_the_paper_does_a_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_data = ["--data.traces", "6", "--data.validation", "2", "--data.batch_size", "2"]
    assert main(["fit", "--config", "noble", *small_data, "--trainer.max_steps", "1"]) == 0
    best = load("runs/fit/version_0/checkpoints/last.ckpt")
    assert sum(p.numel() * (1 + p.is_complex()) for p in best.parameters()) == 1_803_001


def test_batches_have_the_time_first(family):
    data = FamilyData(family, SHORT, traces=10, tests=4, validation=2, batch_size=4)
    data.setup()
    x, V = data.prepared(next(iter(data.train_dataloader())))[:2]
    assert x.shape == (200, 4, 3)
    assert V.shape == (200, 4, 1)
    whole = data.part("training")
    k = int((whole.V[:, 100] == V[100, 0, 0]).nonzero()[0])
    assert torch.equal(x[:, 0, 0], whole.current()[:, k])
    assert torch.equal(x[0, 0, 1:], whole.features[k])
    sizes = [len(loader().dataset) for loader in (data.train_dataloader, data.test_dataloader)]
    assert sizes == [8, 8]


def test_errors_by_hand():
    V = torch.tensor([[-70.0, -70, -70], [10, -70, 10], [-70, -70, -70], [10, -70, -70]])
    predicted = torch.tensor([[-70.0, -70, -70], [10, 10, -70], [-70, -70, -70], [-70, -70, -70]])
    assert count_spikes(V).tolist() == [2, 0, 1]
    found = {name: value.item() for name, value in shares(sums(predicted, V)).items()}
    assert found["spikes"] == pytest.approx(3 / 3)  # one too few, one too many, one missed
    assert found["missed"] == 0.5
    assert found["false"] == 1.0
    assert found["score"] == pytest.approx(1 - found["voltage"] - found["spikes"])


def test_the_sag_counts_on_negative_currents_alone():
    t = torch.arange(100.0)
    V = torch.stack([-80 - 2 * torch.exp(-t / 20), -60 + 0 * t], 1)
    current = torch.tensor([-0.1, 0.1]).expand(100, 2).contiguous()
    predicted = V + torch.tensor([0.0, 1.0]) * t[:, None]
    assert sag_error(predicted, V, current).item() == pytest.approx(0, abs=1e-6)
    flat = torch.full_like(V, -80.0)
    assert 1000 * sag_error(flat, V, current).item() == pytest.approx(2, abs=0.3)
    nothing = sag_error(predicted.requires_grad_(), V, current.abs())
    assert nothing.item() == 0
    nothing.backward()


def test_the_loss_weighs_the_sag(family):
    data = FamilyData(family, SHORT, traces=10, tests=4, validation=2, batch_size=8)
    data.setup("fit")
    batch = data.prepared(next(iter(data.train_dataloader())))
    network = small()
    losses = []
    for sag in (0.0, 25.0):
        noble = Noble(network, sag=sag)
        noble.log = lambda *_, **__: None
        losses.append(noble.training_step(batch, 0).item())
    x, V = batch[0], batch[1][..., 0]
    extra = 25 * sag_error(network(x)[..., 0], V, x[..., 0]).item()
    assert losses[1] == pytest.approx(losses[0] + extra, rel=1e-4)
    assert (extra > 0) == bool((x[..., 0] < 0).any())


@pytest.mark.parametrize("known", [False, True], ids=["new", "fine-tuned"])
def test_the_scale_of_features_is_made_once(family, known):
    network = small()
    if not known:
        network.embedding.low.fill_(torch.nan)
    before = network.embedding.low.clone()
    noble = Noble(network)
    noble.trainer = SimpleNamespace(datamodule=SimpleNamespace(family=family))
    noble.setup("fit")
    expected = before if known else family.features[:3].amin(0)
    assert torch.equal(network.embedding.low, expected)


def test_a_checkpoint_of_something_else(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other\.ckpt: expected the checkpoint of a surrogate"):
        load(tmp_path / "other.ckpt")


def test_recipes_that_name_a_module(tmp_path):
    own, ours, broken = (tmp_path / f"{name}.yaml" for name in ("own", "ours", "broken"))
    own.write_text(yaml.safe_dump({"model": {"class_path": "mine.Module"}}))
    ours.write_text(yaml.safe_dump({"model": {"timesteps": 4}}))
    broken.write_text("model: [")
    assert names_module(["fit", f"--config={own}"])
    assert not names_module([f"--config={own}", f"--config={ours}"])
    assert not names_module([f"--config={broken}"])
    assert not names_module(["fit"])


def test_mistakes_in_such_a_recipe_are_explained(capsys):
    assert main(["fit", "--config", "noble-small", "--model.network.mode", "3"]) == 2
    assert "mode" in capsys.readouterr().err
    assert main(["fit", "--config", "noble-small", "--model.network.embed.amplitude", "14"]) == 2
    assert main(["compare", "--config", "noble-small", "--neurons", "lif"]) == 2
    assert "noble-small.yaml trains a module of its own" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["AllenCell", "AllenFamily"])
def test_a_recipe_cannot_have_code_compiled(name, capsys):
    given = f"--data.family=neurodyn.biophysics.allen.{name}"
    assert main(["fit", "--config", "noble-small", given]) == 2
    assert "not allowed" in capsys.readouterr().err


def test_a_run_of_something_else(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": {"class_path": "os.system"}}))
    with pytest.raises(ValueError, match=r"config\.yaml: .*not allowed"):
        load_run(tmp_path)
    digits = {"class_path": "neurodyn.data.Digits"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": digits}))
    with pytest.raises(ValueError, match="expected FamilyData, got Digits"):
        load_run(tmp_path)
