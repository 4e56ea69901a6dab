"""Recipes that try to run code. Each attack leaves the file `pwned` if it succeeds."""

import os
import pickle
import sys

import pytest
import torch
import yaml
from jsonargparse import _common
from torch import nn

from neurodyn.cli import main
from neurodyn.training import allowed
from neurodyn.training.find import recipe_folder
from neurodyn.training.recipe import Recipe

MODULE = """
import pathlib
from torch import nn
pathlib.Path("pwned").touch()
class Net(nn.Module):
    def __init__(self, shape=(1, 8, 8), classes=10, width=3): super().__init__(); self.width = width
def touch(*_): pathlib.Path("pwned").touch()
"""
COMMAND = {"class_path": "subprocess.Popen", "init_args": {"args": "touch pwned", "shell": True}}
CALLBACKS = "lightning.pytorch.callbacks.model_checkpoint"
LAMBDA = "lightning.pytorch.callbacks.LambdaCallback"
WRITE = {
    "class_path": "neurodyn.comparison.folder.write_json",
    "init_args": {"path": "pwned", "content": "neurodyn"},
}
LOAD = {
    "class_path": "lightning.pytorch.demos.boring_classes.BoringModel.load_from_checkpoint",
    "init_args": {"checkpoint_path": "evil.ckpt"},
    "dict_kwargs": {"weights_only": False},
}


def strategy(**options):
    path = "lightning.pytorch.strategies.DDPStrategy"
    return {"trainer": {"strategy": {"class_path": path, "init_args": options}}}


def callback(start):
    return {
        "trainer": {"callbacks": [{"class_path": LAMBDA, "init_args": {"on_fit_start": start}}]}
    }


def network(given):
    return {"model": {"network": given}}


ATTACKS = {
    "a command as an object": strategy(ddp_comm_state=COMMAND),
    "a command by way of our module": strategy(
        ddp_comm_state={**COMMAND, "class_path": "neurodyn.cli.subprocess.Popen"}
    ),
    "a class for any object": strategy(ddp_comm_state={"class_path": "torch.nn.Identity"}),
    "a hook": strategy(ddp_comm_hook="evil.touch"),
    "a hook of torch": strategy(
        ddp_comm_hook="torch.distributed.algorithms.ddp_comm_hooks.default_hooks.noop_hook"
    ),
    "a callable": callback("os.abort"),
    "a callable of the user's": callback("evil.touch"),
    "a callable by way of Lightning": callback(f"{CALLBACKS}.os.abort"),
    "a callable of Lightning": callback(f"{CALLBACKS}.rank_zero_info"),
    "a callable of torch": callback("torch.hub.load"),
    "a builtin by way of our module": callback("neurodyn.files.os.abort"),
    "a builtin of torch": callback("neurodyn.training.learner.torch.from_file"),
    "a class that is called": callback("torch.nn.Identity"),
    "a function with arguments": callback(WRITE),
    "an import": network("evil.Net"),
    "an import without a use": {"data": {"class_path": "evil.Net"}},
    "a command as a network": network(COMMAND),
    "a loader as a network": network(LOAD),
    "torch.package": network({"class_path": "torch.package.PackageImporter"}),
    "a scheduler's function": callback("torch.utils.cpp_extension.load_inline"),
    "an unsafe checkpoint": {"ckpt_path": "file://HERE/evil.ckpt", "weights_only": False},
    "a checkpoint": {"ckpt_path": "evil.ckpt"},
    "a checkpoint's settings": {"ckpt_path": "settings.ckpt"},
}


class Payload:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(allowed, "_named", [])
    (tmp_path / "evil.py").write_text(MODULE)
    with open("evil.ckpt", "wb") as file:
        content = {"state_dict": Payload(), "pytorch-lightning_version": "2.6.0"}
        torch.save(content, file, pickle_module=pickle)
    torch.save({"hyper_parameters": {"network": {"class_path": "evil.Net"}}}, "settings.ckpt")
    yield
    sys.modules.pop("evil", None)


def written(attack):
    recipe = yaml.safe_load((recipe_folder() / "digits.yaml").read_text())
    for key, value in attack.items():
        recipe[key] = {**recipe[key], **value} if key in recipe else value
    with open("bad.yaml", "w") as file:
        file.write(yaml.safe_dump(recipe).replace("HERE", os.getcwd()))
    return "bad.yaml"


def refused(capsys, tmp_path, *arguments):
    status = main([str(a) for a in arguments])
    error = capsys.readouterr().err
    assert not (tmp_path / "pwned").exists()
    assert "evil" not in sys.modules
    assert status == 2, error
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize("name", ATTACKS)
def test_a_recipe_runs_no_code(name, capsys, tmp_path):
    config = written(ATTACKS[name])
    fast = ["--data.limit=100", "--trainer.max_epochs=1"]
    refused(capsys, tmp_path, "fit", "--config", config, *fast)


@pytest.mark.parametrize("name", ["a command as an object", "a callable", "an import"])
def test_neither_in_a_comparison_nor_from_a_run_folder(name, capsys, tmp_path):
    config = written(ATTACKS[name])
    error = refused(capsys, tmp_path, "compare", "--config", config, "--seeds=1", "--out=here")
    assert "is not allowed in a recipe" in error
    module = "evil" if name == "an import" else "MODULE"
    assert f"name it on the command line: --import {module}" in error
    with pytest.raises(ValueError, match="is not allowed in a recipe"):
        Recipe(["--config", config], run=False)


def test_every_checkpoint_is_loaded_as_weights_only(capsys, tmp_path, monkeypatch):
    asked = []

    def load(*_, weights_only=None, **__):
        asked.append(weights_only)
        raise ValueError("enough")

    monkeypatch.setattr(torch, "load", load)
    for command in ("fit", "validate", "test"):
        for path in ("evil.ckpt", f"file://{tmp_path}/evil.ckpt"):
            refused(capsys, tmp_path, command, "--config=digits", "--ckpt_path", path)
    assert asked == [True] * 6


def test_help_on_a_class_imports_nothing(capsys, tmp_path):
    refused(capsys, tmp_path, "fit", "--config=digits", "--model.network.help=evil.Net")


def test_an_error_says_what_may_be_named_and_how_to_allow_more(capsys, tmp_path):
    error = refused(capsys, tmp_path, "fit", "--config=digits", "--model.network=evil.Net")
    assert "Importing 'evil.Net' is not allowed in a recipe. A recipe may name classes of" in error
    assert "import_path_allowlist" not in error
    error = refused(capsys, tmp_path, "fit", "--config", written(ATTACKS["a class for any object"]))
    assert "'torch.nn.Identity' is a class, and this setting takes none" in error


def test_a_module_that_the_user_names_is_allowed(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    config = written(network("evil.Net"))
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--import", "evil", "--config", config, "--print_config"])
    assert stop.value.code == 0
    assert "class_path: evil.Net" in capsys.readouterr().out
    assert sys.path[-1] == str(tmp_path), "the current folder hides no installed package"
    assert type(Recipe(["--config", config], run=False).model.network).__name__ == "Net"
    assert main(["fit", "--import=nowhere", "--config", config]) == 2
    assert "import: expected the name of a module, got 'nowhere'" in capsys.readouterr().err
    given = ["--config", config, "--import=evil"]
    with pytest.raises(ValueError, match="import"):
        Recipe(given, run=False)


@pytest.mark.parametrize(
    "name",
    [
        "os.getpid",
        "neurodyn.cli.main",
        "neurodyn.training.allowed.allow",
        "neurodyn.training.learner.torch.from_file",
        "torch.hub.list",
        f"{CALLBACKS}.rank_zero_info",
        "lightning.pytorch.seed_everything",
        "torch.nn.utils.clip_grad_norm_",
    ],
)
def test_a_callable_is_refused_before_it_is_called(name):
    with pytest.raises(ValueError, match="is not allowed in a recipe"):
        Recipe(["--config", written(callback(name))], run=False)


@pytest.mark.parametrize("name", ["torch.nn.functional.relu", "torch.nn.functional.gelu"])
def test_functions_and_classes_of_the_list_are_allowed(name):
    recipe = Recipe(["--config", written(callback(name))], run=False)
    assert recipe.config.trainer.callbacks[0].init_args.on_fit_start is eval(name, {"torch": torch})
    assert isinstance(
        Recipe(["--config=digits", "--model.network=torch.nn.Identity"], run=False).model.network,
        nn.Identity,
    )


def test_other_parsers_in_the_process_keep_their_settings():
    before = dict(_common.parsing_settings)
    Recipe(["--config=digits"], run=False)
    with pytest.raises(ValueError, match="not allowed"):
        Recipe(["--config", written(network("evil.Net"))], run=False)
    assert _common.parsing_settings == before
