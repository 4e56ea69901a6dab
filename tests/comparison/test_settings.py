from pathlib import Path

import pytest

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.run import Run
from neurodyn.comparison.settings import lasting_settings, saved_settings
from tests.comparison.test_run import TINY


def test_a_fingerprint_is_of_what_makes_the_run_and_not_of_its_place():
    def fingerprint(*arguments):
        return Run(Contender.parse("lif"), 0, [*TINY, *arguments], Path()).fingerprint

    places = ["--data.root=/elsewhere", "--data.on_device=true"]
    places += ["--trainer.accelerator=cpu", "--last_checkpoint.minutes=1", "--trainer.logger=false"]
    assert fingerprint(*places) == fingerprint()
    # A device is no place: four of them have four times the batch.
    for other in ("--trainer.devices=4", "--data.augment.crop=1"):
        assert fingerprint(other, "--trainer.accelerator=cpu") != fingerprint(), other


def test_an_option_that_older_runs_did_not_have_makes_no_difference():
    def settings(name):
        return Run(Contender.parse(name), 0, TINY, Path()).settings

    assert not any("emission" in key for key in settings("lif:reset=soft"))
    graded = settings("lif:reset=soft:emission=graded")
    assert graded["model.network.init_args.neuron.init_args.emission"] == "graded"


def test_the_folder_of_a_data_set_is_no_place():
    one, two, three = (
        lasting_settings(
            f"data:\n  init_args: {{workers: {n}, download: {n == 2}, folder: {folder}}}"
        )
        for n, folder in ((1, "imagenet"), (2, "imagenet"), (1, "other"))
    )
    assert one == two == {"data.init_args.folder": "imagenet"}
    assert three != one


def test_what_was_read_of_a_file_is_one_setting():
    one, two, three = (
        lasting_settings(f"model: {{cell: {{from: {place}, numbers: [1, {n}]}}}}")["model.cell"]
        for place, n in (("a", 2), ("b", 2), ("a", 3))
    )
    assert one.partition(" ")[2] == two.partition(" ")[2] != three.partition(" ")[2]
    assert [value.partition(" ")[0] for value in (one, two, three)] == ["a", "b", "a"]


@pytest.mark.parametrize("content", [b"a: [", b"\xff"])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml: expected YAML, got"):
        saved_settings(tmp_path / "config.yaml")
