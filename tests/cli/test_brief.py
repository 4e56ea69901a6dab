"""The short help says what is true."""

import inspect
import re

import pytest

from neurodyn.cli import main
from neurodyn.cli.brief import brief_help, options
from neurodyn.cli.parser import LIGHTNING
from neurodyn.cli.words import LONG
from neurodyn.data import SampleData
from neurodyn.training.learner import Learner
from neurodyn.training.optim import OptimConfig
from neurodyn.training.recipe import Recipe


def shown(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([*arguments])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", LIGHTNING)
def test_help_is_a_screen_and_help_all_is_long(capsys, command):
    for word in ("--help", "-h"):
        lines = shown(capsys, command, "--config", "digits", word).splitlines()
        assert len(lines) < 36
        assert max(map(len, lines)) <= 100
    assert f"neurodyn {command} --config digits" in "\n".join(lines)
    whole = shown(capsys, command, "--help-all")
    assert len(whole.splitlines()) > 200
    for option in options(command):
        name = option.split()[0]
        if name not in ("--import", "--help-all", "--data.root", *LONG) and "data." not in name:
            assert name in whole, name


def test_the_other_helps_are_a_screen(capsys):
    for arguments in ([], ["compare"], ["study"], ["list"], ["results"], ["bench"]):
        lines = shown(capsys, *arguments, "--help").splitlines()
        assert len(lines) <= 45
        assert max(map(len, lines)) <= 110


def test_every_study_has_a_line(capsys):
    text = shown(capsys, "study", "--help")
    for study in ("degree", "window", "delays", "transplant"):
        assert re.search(rf"^  {study} +[A-Z].*\?|\(--source\)\?$", text, re.MULTILINE)


def test_defaults_are_those_of_the_parser():
    defaults = {}
    for prefix, function in (
        ("--data", SampleData),
        ("--model", Learner),
        ("--model.optim", OptimConfig),
    ):
        for name, parameter in inspect.signature(function).parameters.items():
            defaults[f"{prefix}.{name}"] = parameter.default
    config = Recipe(["--config=mnist", "--seed_everything=0"], run=False).config
    defaults["--trainer.accelerator"] = config.trainer.accelerator
    defaults["--seed_everything"] = 0
    checked = 0
    for option, text in {**options("fit"), **options("test")}.items():
        found = re.search(r"\(default: (\S+)\)", text)
        if found and found[1] != "all":
            assert found[1] == str(defaults[option.split()[0]]).lower(), option
            checked += 1
    assert checked == 7
    assert defaults["--data.limit"] is None


def test_examples_of_the_help_parse(capsys, mine):
    examples = re.findall(r"^  neurodyn fit (.*)", brief_help("fit"), re.MULTILINE)
    assert len(examples) > 3
    for example in examples:
        arguments = [word.strip("'") for word in example.split()]
        if "--ckpt_path" not in arguments:
            assert "network:" in shown(capsys, "fit", *arguments, "--print_config")
