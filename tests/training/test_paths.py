"""`--data PATH`: the class that reads it, and the recipe that fits it."""

from pathlib import Path

import numpy as np
import pytest

from neurodyn.training.parser import RecipeError
from neurodyn.training.paths import class_for, data_path, recipe_for, with_data_paths
from neurodyn.training.recipe import Recipe
from tests.data.files import write_nmnist
from tests.data.formats.test_events import made
from tests.data.sets.test_folders import tree
from tests.data.test_adapted import Foreign, X


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))


def arrays(name="a.npz", shape=(60, 20, 5), **more):
    y = np.arange(60) % 3
    np.savez(name, x=np.random.default_rng(0).random(shape), y=y, **more)
    return name


def built(*args):
    return Recipe([*args, "--trainer.accelerator=cpu"], run=False)


@pytest.mark.parametrize(
    ("shape", "network", "step"),
    [
        ((60, 20, 5), "SequenceNet", (5,)),
        ((60, 7), "SequenceNet", (7,)),
        ((60, 8, 8), "ConvNet", (1, 8, 8)),
        ((60, 9, 12, 12, 3), "SequenceNet", (12, 12, 3)),
    ],
)
def test_arrays_without_a_recipe(shape, network, step):
    recipe = built("--data", arrays(shape=shape))
    assert type(recipe.model.network).__name__ == network
    assert recipe.model.network.shape == step
    assert recipe.model.task.targets.outputs == 3


def test_folders_without_a_recipe(tmp_path):
    photographs = tree(tmp_path / "photographs", size=(16, 16))
    recipe = built(f"--data={photographs}", "--data.batch_size=7")
    assert (recipe.datamodule.shape, recipe.datamodule.batch_size) == ((3, 16, 16), 7)
    for kind in "ab":
        for index in range(5):
            path = tmp_path / "events" / kind / f"{index}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_nmnist(path, made(60, 20))
    recipe = built("--data", "events", "--data.steps", "4")
    assert type(recipe.datamodule).__name__ == "EventFolder"
    assert recipe.model.network.shape == recipe.datamodule.shape


def test_labels_of_a_npy_and_other_words():
    np.save("X.npy", np.random.default_rng(0).random((60, 12, 12)))
    np.save("Y.npy", np.linspace(0, 1, 60))
    given = ["--data", "X.npy", "--data.labels", "Y.npy", "--data.layout=sequences"]
    recipe = built(*given)
    assert type(recipe.model.network).__name__ == "SequenceNet"
    assert recipe.model.task.targets.kind == "values"
    assert recipe_for(given) == "sequences"
    assert recipe_for(given[:4]) == "images"


def test_a_recipe_keeps_its_network_and_its_batch_size_alone():
    recipe = built("--config", "cifar10-small", "--data", arrays(shape=(60, 3, 32, 32)))
    assert type(recipe.model.network).__name__ == "ResNet9"
    data = recipe.datamodule
    assert (data.batch_size, data.limit, data.augment) == (128, None, None)
    recipe = built("--data", "a.npz", "--config=cifar10-small", "--data.limit=30")
    assert recipe.datamodule.limit == 30


def test_augmentation_of_either_kind():
    data = built("--data", arrays(), "--data.augment.time_mask=0.5").datamodule
    assert data.augment.time_mask == 0.5
    data = built("--data", arrays(shape=(60, 8, 8)), "--data.augment.crop=2").datamodule
    assert data.augment.crop == 2


def test_a_network_that_does_not_fit():
    with pytest.raises(ValueError, match=r"network: .*\(C, H, W\).*--model\.network SequenceNet"):
        built("--config", "digits", "--data", arrays())
    recipe = built("--config", "digits", "--data", arrays(), "--model.network", "SequenceNet")
    assert recipe.model.network.shape == (5,)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--data", "none.npz"], r"data: looked for none\.npz and did not find it; expected a"),
        (["--data", "./none"], r"data: looked for \./none and did not find it"),
        (["--data", "a.txt"], r"data: found the file a\.txt, expected a file of arrays \(\.npz"),
        (["--data", "folder"], r"data: found 1 \.txt in the folder folder, expected"),
        (["--data", "empty"], "data: found no files in the folder empty"),
        (["--data", "a.npz", "--data.labels=z"], "labels: found x, y in a.npz, got 'z'"),
        (["--data", "a.npz", "--data.labls=z"], "Did you mean 'labels'"),
        (["--data", "a.npz", "--data.task=class"], "task: .*Did you mean 'classes'|'classes'"),
    ],
)
def test_errors(args, message, tmp_path):
    arrays()
    for place in ("folder", "empty"):
        (tmp_path / place).mkdir()
    for place in ("a.txt", "folder/a.txt"):
        (tmp_path / place).write_text("")
    with pytest.raises((ValueError, FileNotFoundError, RecipeError), match=message):
        built(*args)


def test_what_is_no_path_stays(tmp_path):
    (tmp_path / "Digits").mkdir()
    (tmp_path / "data.yaml").write_text("")
    for value in ("Digits", "neurodyn.data.MNIST", "mine.Data", "data.yaml"):
        assert with_data_paths(["fit", "--data", value]) == ["fit", "--data", value]
        assert recipe_for(["fit", "--data", value]) is None
    assert class_for(tmp_path / arrays()) == "ArrayFile"


def test_the_class_comes_before_its_options():
    name = arrays()
    given = with_data_paths(["fit", "--data.limit=3", "--data", name, "--config", "x.yaml"])
    assert given[:3] == ["fit", "--data=neurodyn.data.ArrayFile", f"--data.path={name}"]
    assert given[3:] == ["--data.limit=3", "--config", "x.yaml"]
    assert data_path(["--data.limit=3", "--data", name]) == Path(name)
    assert data_path(["--data", "Digits"]) is None


def test_a_command_line_trains_and_tests(capsys):
    name = arrays(shape=(60, 6, 4))
    quiet = ["--trainer.max_epochs=2", "--trainer.accelerator=cpu", "--trainer.logger.version=0"]
    Recipe(["fit", "--data", name, *quiet], run=True)
    best = next(iter(Path("runs").rglob("best.ckpt")))
    Recipe(["test", "--data", name, "--ckpt_path", str(best), *quiet[1:2]], run=True)
    assert "test_accuracy" in capsys.readouterr().out


class Mine(Foreign):
    def __init__(self, batch_size: int = 10) -> None:
        import torch

        super().__init__(X, torch.arange(60) % 3, batch_size)


def test_a_foreign_module_in_a_recipe(monkeypatch):
    from neurodyn.training import allowed

    monkeypatch.setattr(allowed, "_named", [__name__])
    given = ["--config", "sequences", "--data", f"{__name__}.Mine", "--data.batch_size=12"]
    recipe = built(*given, "--trainer.max_epochs=1", "--trainer.logger=false")
    assert recipe.model.network.shape == (5,)
    assert recipe.datamodule.module.batch_size == 12
    assert recipe.model.task.targets.outputs == 3
    recipe.trainer.fit(recipe.model, recipe.datamodule)
    assert "val_score" in recipe.trainer.callback_metrics
