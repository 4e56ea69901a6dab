"""A trained model in hand: it is loaded as it was trained, and needs nothing else for that."""

import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
import yaml

import neurodyn
from neurodyn.comparison.compare import run_comparison
from neurodyn.layers import padded, repeat
from neurodyn.neurons import LNM
from neurodyn.training import allowed
from neurodyn.training.feeding import Feed
from neurodyn.training.recipe import Recipe
from tests.training.own import Courses, FileDigits

COURSES = [
    "--config=sequential-digits",
    "--data=tests.training.own.Courses",
    "--trainer.max_epochs=1",
    "--model.network.widths=[5]",
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def home(comparison):
    return comparison / "lnm+degree=2" / "seed-0"


@pytest.fixture
def run(home):
    return neurodyn.load(home, imports=["tests.training.own"])


@pytest.fixture
def copied(home, tmp_path):
    """A copy of the run's folder that a test may change."""
    return shutil.copytree(home, tmp_path / "copied")


def changed(folder, change):
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))


def digits():
    return FileDigits().read(train=False)


def test_it_answers_as_the_test_of_the_training_did(run, home):
    images, labels = digits()
    result = json.loads((home / "result.json").read_text())
    predictions = run.predict(images)
    right = (predictions.answers == labels).double().mean().item()
    assert 100 * right == pytest.approx(result["score"], abs=1e-4)
    assert run.metrics["accuracy"] == result["score"]
    assert run.energy().energy / 1000 == pytest.approx(result["energy_nJ"], rel=1e-6)
    assert run.energy(images).spikes == pytest.approx(result["spikes"], rel=1e-6)


def test_what_it_knows(run):
    assert run.shape == (1, 8, 8)
    assert run.classes == tuple("0123456789")
    assert run.timesteps == 4
    assert [*run.neurons] == ["body.1.neuron", "body.4.neuron"]
    assert all(isinstance(neuron, LNM) for neuron in run.neurons.values())
    assert not run.network.training
    shown = repr(run)
    for text in ("ConvNet of LNM", "FileDigits", "10 classes", "accuracy", "seed 0"):
        assert text in shown


def test_a_result_of_an_older_version(run, monkeypatch):
    monkeypatch.setattr(run.saved, "result", {"accuracy": 97.0})
    assert [*run.metrics] in (["validation accuracy"], [])
    assert "ConvNet" in repr(run)


def test_predictions_have_names_and_probabilities(run):
    images, _ = digits()
    predictions = run.predict(images[:7], batch_size=3)
    whole = run.predict(images[:7])
    torch.testing.assert_close(predictions.scores, whole.scores)
    torch.testing.assert_close(predictions.probabilities.sum(-1), torch.ones(7))
    assert predictions.names == [str(k) for k in predictions.answers.tolist()]
    assert len(predictions) == 7
    assert repr(predictions).startswith(f"Predictions(7: {predictions.names[0]} (")


def test_samples_of_another_type_or_shape(run):
    images, _ = digits()
    wanted = run.predict(images[:3]).scores
    for same in (images[:3].double(), images[:3].numpy(), images[:3].tolist()):
        assert torch.equal(run.predict(same).scores, wanted)
    with pytest.raises(ValueError, match=r"values: expected torch.uint8 .*float32 from 0 to 1; "):
        run.predict(images[:3] / 16)
    with pytest.raises(ValueError, match=r"expected samples \(N, 1, 8, 8\) as FileDigits keeps"):
        run.predict(images[0])
    with pytest.raises(ValueError, match="at least one sample"):
        run.predict(images[:0])
    with pytest.raises(ValueError, match="lengths: expected one number for each of 3 samples"):
        run.predict(images[:3], [1, 2])


def test_a_stream_ends_with_the_scores_of_one_call(run):
    images, _ = digits()
    x = repeat(run.transform(images[:5]), run.timesteps)
    stream = run.stream()
    for chunk in x.split(3):
        scores = stream(chunk)
    assert not scores.requires_grad
    torch.testing.assert_close(scores, run.predict(images[:5]).scores)
    assert run.answer(scores).names == run.predict(images[:5]).names


def test_record_has_every_state_and_leaves_nothing_behind(run):
    images, _ = digits()
    recorded = run.record(images[:5])
    assert [*recorded] == [*run.neurons]
    first = recorded["body.1.neuron"]
    assert {"spikes", "h", "u"} == {*first}
    assert first["spikes"].shape == first["u"].shape == (4, 5, 4, 8, 8)
    activity = run.energy(images[:5])
    assert first["spikes"].sum().item() == activity.layers["body.1.neuron"].spikes
    assert not any(module._forward_hooks for module in run.network.modules())


def test_loading_draws_no_random_numbers(home):
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    neurodyn.load(home, imports=["tests.training.own"])
    assert torch.equal(torch.rand(2), wanted)


def test_neither_the_place_nor_the_data_files_matter(copied, monkeypatch):
    def gone(*_):
        raise AssertionError("a data file was read")

    monkeypatch.setattr(FileDigits, "read", gone)
    images = torch.randint(0, 17, (2, 1, 8, 8))
    changed(copied, lambda config: config["data"]["init_args"].update(root="/nowhere"))
    assert len(neurodyn.load(copied, imports=["tests.training.own"]).predict(images)) == 2


def test_what_only_a_training_needs_does_not_matter(copied, run):
    def change(config):
        config["trainer"] = {
            "accelerator": "tpu",
            "devices": 64,
            "logger": {"class_path": "no.Way"},
        }
        config["model"]["compile"] = "reduce-overhead"
        config["model"]["regularisers"] = [{"class_path": "FiringRate"}]
        config["last_checkpoint"] = {"folder": "/proc/nowhere"}

    changed(copied, change)
    images, _ = digits()
    again = neurodyn.load(copied)
    assert torch.equal(again.predict(images).scores, run.predict(images).scores)


def test_options_of_the_data_can_be_others_here(home):
    run = neurodyn.load(home, data={"batch_size": 7})
    assert run.data.batch_size == 7
    with pytest.raises(ValueError, match=r"config\.yaml: .*\nDid you mean 'root'\?"):
        neurodyn.load(home, data={"rot": "x"})


@pytest.mark.parametrize("part", ["network", "data", "neuron"])
def test_a_hostile_config_runs_nothing(copied, part):
    attack = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "pwned"]}}

    def change(config):
        holder = config["model"]["network"]["init_args"] if part == "neuron" else config["model"]
        (config if part == "data" else holder)[part] = attack

    changed(copied, change)
    with pytest.raises(ValueError, match=r"config\.yaml.*\n?.*is not allowed in a recipe"):
        neurodyn.load(copied)
    assert not os.path.exists("pwned")


def test_a_module_of_the_users_has_to_be_named(home, monkeypatch):
    monkeypatch.setattr(allowed, "_named", [])
    with pytest.raises(ValueError, match="FileDigits' is not allowed in a recipe"):
        neurodyn.load(home)
    assert neurodyn.load(home, imports=["tests.training.own"]).classes


class Payload:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_a_checkpoint_with_code_is_refused(copied):
    content = {"state_dict": {"network.x": Payload()}, "pytorch-lightning_version": "2.6.0"}
    torch.save(content, copied / "best.ckpt", pickle_module=pickle)
    with pytest.raises(ValueError, match=r"checkpoint: refused .*best\.ckpt, which could run code"):
        neurodyn.load(copied)
    assert not os.path.exists("pwned")


def test_a_damaged_file_is_named(copied):
    best = copied / "best.ckpt"
    whole = best.read_bytes()
    best.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"best\.ckpt is damaged .*'last' is whole"):
        neurodyn.load(copied)
    assert neurodyn.load(copied, checkpoint="last").metrics == {}
    torch.save([1, 2], best)
    with pytest.raises(ValueError, match=r"best\.ckpt is no checkpoint"):
        neurodyn.load(copied)
    best.write_bytes(whole)
    (copied / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"result\.json: expected JSON"):
        neurodyn.load(copied)
    for text, what in ((": :", "expected YAML"), ("a: 1", "found no 'data'"), ("", "found no")):
        (copied / "config.yaml").write_text(text)
        with pytest.raises(ValueError, match=rf"config\.yaml: .*{what}"):
            neurodyn.load(copied)


def test_weights_of_another_network_are_named(copied):
    change = {"widths": [4, 7]}
    changed(copied, lambda config: config["model"]["network"]["init_args"].update(change))
    with pytest.raises(ValueError, match=r"best\.ckpt: expected weights of the model .*body\.3"):
        neurodyn.load(copied)


def test_a_folder_that_is_no_run_lists_those_in_it(comparison, home, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Choose one of its runs:\n  .*seed-0$"):
        neurodyn.load(comparison)
    with pytest.raises(FileNotFoundError, match="found none at nowhere"):
        neurodyn.load("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is no config\.yaml"):
        neurodyn.load("empty")
    with pytest.raises(FileNotFoundError, match=r"found no 'first' in .*; there are best, last"):
        neurodyn.load(home, checkpoint="first")


def test_a_fit_is_loaded_by_its_folder_or_by_its_checkpoint(tmp_path):
    options = ["--trainer.max_epochs=1", "--data.limit=100", "--trainer.enable_progress_bar=false"]
    Recipe(["fit", "--config", "digits", *options], run=True)
    folder = tmp_path / "runs" / "fit" / "version_0"
    run = neurodyn.load(folder)
    (score,) = run.metrics.values()
    assert 0 < score <= 100
    images, _ = digits()
    by_file = neurodyn.load(folder / "checkpoints" / "best.ckpt")
    assert torch.equal(by_file.predict(images).scores, run.predict(images).scores)


@pytest.mark.parametrize(
    ("kind", "per_step"), [*itertools.product(("classes", "labels", "values"), (False, True))]
)
def test_every_task_with_sequences_of_different_lengths(kind, per_step, tmp_path):
    allowed.allow("tests.training.own")
    task = [f"--data.kind={kind}", f"--data.per_step={per_step}"]
    readout = f"--model.readout={'each' if per_step else 'mean'}"
    run_comparison([*COURSES, *task, readout], ["lif"], 1, tmp_path / "runs")
    run = neurodyn.load(tmp_path / "runs" / "lif" / "seed-0")
    assert run.targets == Courses(kind, per_step).targets
    x, _, lengths = run.data.read(train=False)
    together, apart = run.predict(x, lengths), run.predict(x, lengths, batch_size=5)
    for name in ("scores", "answers", "probabilities"):
        one, other = getattr(together, name), getattr(apart, name)
        assert (one is None) == (other is None) == (kind == "values" and name == "probabilities")
        if one is not None:
            own = (slice(None), slice(0, 4)) if per_step else ()
            torch.testing.assert_close(one[own], other[own])
    alone = run.predict(x[:1, : lengths[0]])
    scores = together.scores[:1, : lengths[0]] if per_step else together.scores[:1]
    torch.testing.assert_close(scores, alone.scores)
    assert len(together.names) == 48
    few, wanted, _ = next(iter(run.test_batches(limit=3)))
    assert few.shape[1] == 3
    assert wanted.shape[: 1 + per_step] == ((12, 3) if per_step else (3,))
    rows = list(together.rows([f"file{n}" for n in range(48)]))
    assert len(rows) == (lengths.sum() if per_step else 48)
    assert all(len(row) == len(together.header()) for row in rows)
    if kind == "values":
        raw = together.scores[:1, 0] if per_step else together.scores[:1]
        value = together.answers[:1, 0] if per_step else together.answers[:1]
        scale = torch.tensor([[2.0, 3.0]]), torch.tensor([[1.0, -2.0]])
        torch.testing.assert_close(value, raw * scale[0] + scale[1])
    elif per_step:
        padding = together.answers[lengths < 12][:, -1]
        assert (padding == -100).all() if kind == "classes" else padding.isnan().all()
    with padded(lengths, 12):
        assert run.energy(x, lengths).samples == 48


def test_importing_neurodyn_stays_cheap():
    code = "import sys, neurodyn; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "lightning"} & set(done.stdout.split())
    assert "load" in dir(neurodyn)


@pytest.mark.parametrize(
    "name", ["load", "training.loading.load", "training.card.write_card", "training.weights.fill"]
)
def test_a_recipe_cannot_name_what_loads_or_writes(name):
    callback = "lightning.pytorch.callbacks.LambdaCallback"
    callbacks = f"--trainer.callbacks={callback}"
    start = f"--trainer.callbacks.on_fit_start=neurodyn.{name}"
    with pytest.raises(ValueError, match="is not allowed in a recipe"):
        Recipe(["--config=digits", callbacks, start], run=False)


def test_samples_that_are_not_finite():
    feed = Feed(Courses(), torch.device("cpu"))
    x = torch.rand(4, 12, 3)
    x[2, 9] = float("nan")
    for lengths in (None, [12, 12, 10, 12]):
        with pytest.raises(ValueError, match="values: found NaN or infinity in sample 2"):
            next(feed.batches(x, lengths, 4, progress=False))
        with pytest.raises(ValueError, match="values: found NaN or infinity in sample 2"):
            feed.transform(x, lengths)
    assert feed.transform(x, [12, 12, 9, 12]).shape == (12, 4, 3)


def test_mistakes_name_the_way_out(run, monkeypatch):
    images, _ = digits()
    with pytest.raises(ValueError, match=r"expected samples \(N, 1, 8, 8\) .*got \(3, 8, 8, 1\)"):
        run.predict(images[:3].movedim(1, 3))
    with pytest.raises(TypeError, match=r"path of a file; run.data.read_files"):
        run.predict("new.png")
    with pytest.raises(TypeError, match=r"path of a file; run.data.read_files"):
        run.predict(["new.png"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device: expected cpu, got cuda"):
        run.to("cuda")


def test_a_stream_takes_arrays(run):
    images, _ = digits()
    x = repeat(run.transform(images[:2]), run.timesteps)
    assert torch.equal(run.stream()(x.numpy()), run.stream()(x))


def test_one_module_needs_no_list(home, monkeypatch):
    monkeypatch.setattr(allowed, "_named", [])
    with pytest.raises(ValueError, match=r"neurodyn.load takes imports=\"MODULE\""):
        neurodyn.load(home)
    assert neurodyn.load(home, imports="tests.training.own").data_name == "FileDigits"


def test_a_list_of_arrays(run):
    images, _ = digits()
    listed = [image.numpy() for image in images[:3]]
    assert torch.equal(run.predict(listed).scores, run.predict(images[:3]).scores)
