"""Short words, and where a recipe stands among the options."""

import pytest

from neurodyn.cli import main
from neurodyn.cli.words import spelled_out
from neurodyn.training.find import recipe_first
from neurodyn.training.recipe import Recipe

NEURON = "--model.network.init_args.neuron"


def test_words_are_written_out():
    assert spelled_out(["--network", "ResNet9", "--network.width=2", "--networks"]) == [
        *("--model.network", "ResNet9", "--model.network.width=2", "--networks")
    ]
    written = [f"{NEURON}=neurodyn.neurons.lnm.LNM", f"{NEURON}.degree=5", "--x", "1"]
    assert spelled_out(["--neuron", "lnm:degree=5", "--x", "1"]) == written
    assert spelled_out(["--neuron=LNM:degree=5", "--x", "1"]) == written
    assert spelled_out(["--neuron.per", "neuron"]) == ["--model.network.neuron.per", "neuron"]
    (cell,) = spelled_out(["--neuron=csgru"])
    assert cell == "--model.network.init_args.cell=neurodyn.layers.gated.CSGRU"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--neuron"], "neuron: expected a name, such as lnm, got none"),
        (["--neuron", "--target", "3"], "neuron: expected a name, such as lnm, got --target"),
        (["--neuron", "short@lif"], "neuron: only a comparison has labels, got 'short@lif'"),
        (["--neuron", "lmn"], r"neuron: unknown name 'lmn'\. Did you mean 'lnm'"),
        (["--neuron", "lnm:degree"], "neuron: expected name:option=value, got 'degree'"),
    ],
)
def test_mistakes_name_the_short_word(arguments, message):
    with pytest.raises(ValueError, match=message):
        spelled_out(arguments)


def test_options_replace_the_recipe_wherever_they_stand():
    given = ["fit", "--trainer.max_epochs=3", "-c", "digits", "--target", "50", "--config=mnist"]
    first = recipe_first(given)
    assert first[0] == "fit"
    assert [arg.rpartition("/")[2] for arg in first[1:3]] == ["digits.yaml", "mnist.yaml"]
    assert first[3:] == ["--trainer.max_epochs=3", "--target", "50"]
    neuron = [f"{NEURON}=LIF", "--trainer.max_epochs=3", "--config", "digits"]
    config = Recipe(neuron, run=False).config
    assert config.trainer.max_epochs == 3
    assert config.model.network.init_args.neuron.class_path.endswith("LIF")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--neuron", "LNM"], "--neuron: a comparison chooses the neuron itself"),
        (["--neuron=LNM"], "neurodyn compare --neurons LNM"),
        (["--model.network.neuron", "LNM"], "--model.network.neuron: a comparison chooses the"),
        (["--model.network.init_args.neuron=LNM"], "a comparison chooses the neuron itself"),
        (["--model.network.neuron.class_path=LNM"], "a comparison chooses the neuron itself"),
        (["--model.network.cell", "CSGRU"], "--model.network.cell: a comparison chooses the"),
        (["--neurons=lif:model.network.neuron=LNM"], "--model.network.neuron: a comparison choo"),
        (["--neurons=lif:class_path=LNM"], "a comparison chooses the neuron itself"),
        (["--neurons=lif:trainer.logger=false"], "--trainer.logger: a comparison sets this itself"),
        (["--trainer.enable_model_summary", "true"], "a comparison sets this itself, to false"),
        (["--trainer.num_sanity_val_steps=2"], "a comparison sets this itself, to 0"),
        (["--trainer.callbacks+=ModelCheckpoint"], "a comparison writes its own checkpoints, got"),
        (["lif,lnm"], "compare: 'lif,lnm' follows no option; did you mean --neurons?"),
        (["--epochs", "3"], "Did you mean 'trainer.max_epochs'?"),
        (["--lr=0.1"], "Did you mean 'model.optim.lr'?"),
        (["."], "compare: '.' follows no option; did you mean --data .?"),
        (["--neurons", "lif", "lmn"], "unknown name 'lmn'. Did you mean 'lnm'?"),
    ],
)
def test_a_comparison_ignores_nothing(capsys, tmp_path, arguments, message):
    assert main(["compare", "--out", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--config", "--neurons", "--seeds", "--out"])
def test_an_option_of_compare_that_is_given_twice(capsys, option):
    with pytest.raises(SystemExit) as stop:
        main(["compare", option, "1", option, "2"])
    assert stop.value.code == 2
    assert f"{option}: given twice" in capsys.readouterr().err


def test_a_study_has_its_own_contenders(capsys):
    for word, message in (("--neurons", "'clip' has its own contenders"), ("--neuron", "chooses")):
        assert main(["study", "clip", word, "lif"]) == 2
        assert message in capsys.readouterr().err


def test_options_that_all_neurons_share_pass(tmp_path, capsys):
    fast = ["--trainer.max_epochs=1", "--data.limit=100", "--trainer.enable_progress_bar=False"]
    shared = ["--neuron.threshold", "2", "--network.widths=[4,6]", f"--out={tmp_path}"]
    assert main(["compare", "--neurons=lif,qif", "--seeds=1", *shared, *fast]) == 0
    for name in ("lif", "qif"):
        assert "threshold: 2" in (tmp_path / name / "seed-0" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("recipe", "neuron", "message"),
    [
        ("digits", "csgru", "Option 'cell': the network does not take it; a network of neurons"),
        ("digits-gru", "lif", "Option 'neuron': the network does not take it; a GatedNet takes"),
    ],
)
def test_a_neuron_for_a_network_of_the_other_kind(capsys, recipe, neuron, message):
    assert main(["fit", f"--config={recipe}", f"--neuron={neuron}"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Did you mean" not in error


def test_a_name_of_lightnings_that_is_wrong(capsys):
    assert main(["fit", "--config=digits", "--trainer.profiler=simpel"]) == 2
    error = capsys.readouterr().err
    assert "trainer.profiler: unknown name 'simpel'. Did you mean 'simple'?" in error
    assert main(["fit", "--config=digits", "--trainer.accelerator=foo"]) == 2
    assert "accelerator='foo'" in capsys.readouterr().err
    assert main(["fit", "--config=digits", "--trainer.limit_train_batches=-3"]) == 2
    assert "invalid value -3 for limit_train_batches" in capsys.readouterr().err
