"""The short help of `fit`, `validate` and `test`. The long one is Lightning's: `--help-all`."""

from __future__ import annotations

from neurodyn.cli.parser import LIGHTNING

WHAT = {
    "--config RECIPE": "the recipe, by name or path (`neurodyn list recipes`)",
    "--import MODULE": "a module of yours, whose classes can then be named",
    "--neuron NAME": "the neuron, its options after colons: qif, lnm:degree=5, mine.TwoState",
    "--network NAME": "the network: ResNet9, mine.Net",
    "--data NAME": "the data set: Digits, mine.Data",
    "--data.root FOLDER": "where data sets lie (default: ~/.cache/neurodyn/data)",
    "--data.download true": "fetch what is missing there (default: false)",
    "--data.batch_size N": "samples per batch and device (default: 128)",
    "--data.limit N": "train on this many samples only (default: all)",
    "--model.timesteps N": "the steps for which an image is shown (default: 4)",
    "--model.readout NAME": "turns outputs over time into scores, such as last or membrane",
}
TRAINING = {
    "--trainer.max_epochs N": "epochs",
    "--model.optim.lr RATE": "learning rate (default: 0.001)",
    "--target PERCENT": "stop at this validation score, such as the accuracy",
    "--ckpt_path FILE": "resume from this checkpoint",
}
CHECKPOINT = {"--ckpt_path FILE": "the checkpoint to measure; `neurodyn fit` prints where it is"}
REST = {
    "--trainer.accelerator NAME": "cpu, gpu or auto (default: auto)",
    "--seed_everything SEED": "seed of the weights and of the order of samples (default: 0)",
    "--print_config": "print every setting as YAML, and stop",
    "--help-all": "every option",
}
BEST = "--ckpt_path runs/fit/version_0/checkpoints/best.ckpt"
EXAMPLES = {
    "fit": (
        "neurodyn fit --config digits --neuron qif --trainer.max_epochs 5",
        "neurodyn fit --config digits --network.widths '[16,32]' --data.limit 500",
        "neurodyn fit --import mine --config digits --neuron mine.TwoState --network mine.Net",
        "neurodyn fit --config digits --ckpt_path runs/fit/version_0/checkpoints/last.ckpt",
    ),
    "validate": (f"neurodyn validate --config digits {BEST}",),
    "test": (
        f"neurodyn test --config digits {BEST}",
        f"neurodyn test --config digits --neuron qif {BEST}",
    ),
}


def options(command: str) -> dict[str, str]:
    """The options that the short help of a command shows, and what each does."""
    return {**WHAT, **(TRAINING if command == "fit" else CHECKPOINT), **REST}


def brief_help(command: str) -> str:
    """The help of a command on one screen."""
    shown = options(command)
    width = max(map(len, shown))
    return "\n".join(
        [
            f"usage: neurodyn {command} --config RECIPE [options]",
            f"\n{LIGHTNING[command].capitalize()}.",
            "A recipe replaces the defaults shown here, and an option replaces the recipe's.",
            "\noptions:",
            *(f"  {name:<{width}}  {text}" for name, text in shown.items()),
            "\nexamples:",
            *(f"  {example}" for example in EXAMPLES[command]),
        ]
    )
