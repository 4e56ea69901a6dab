"""The Lightning module that trains a spiking network on a task."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torchmetrics import MeanMetric, Metric

from neurodyn.analysis.energy import ActivityMeter
from neurodyn.data.loader import global_seed, mix
from neurodyn.data.samples import Batch
from neurodyn.data.targets import Targets
from neurodyn.layers import GatedCell, Readout, padded, repeat
from neurodyn.layers.regularise import Regulariser
from neurodyn.neurons import SpikingLayer
from neurodyn.training.optim import OptimConfig, make_optimizer, make_schedule
from neurodyn.training.task import LossName, ReadoutName
from neurodyn.training.tasks import make_task

DROPOUT = 1
"""Keeps the seeds of dropout apart from those of augmentation in the same step."""


class Learner(L.LightningModule):
    """A network `(T, B, ...) -> (T, B, outputs)`, its task and its optimiser.

    A batch is `(x, targets)`, or `(x, targets, lengths)` for sequences that are padded to the same
    number of steps. The padding then changes neither loss nor scores. The networks' layers without
    a state leave it out (`neurodyn.layers.padded`).

    Args:
        network: the network, with as many outputs per timestep as the targets have.
        targets: what the data ask for; a number is that of classes.
        timesteps: an image is shown for this many steps (direct coding). Data with a time axis,
            `(T, B, ...)`, pass as they are. `{0: 1, 10: 2, 20: 4}` trains with one step, with two
            from epoch 10 and with four from epoch 20. Validation and test always use the last.
        readout: turns outputs over time into scores: a name, or a `Readout`. By default the mean
            over time; where every step has a target, the outputs as they are ("each"), or
            "membrane" for leaky integrators.
        loss: by default the cross-entropy of the scores, or for values the mean squared error, each
            value scaled to mean 0 and variance 1. "tet" is the TET loss on every step; "mae" and
            "huber" are for values. Or a module of your own, called as `loss(scores, targets)` with
            a row for each sample, or step, that has a target.
        tet_weight: weight of TET's regulariser, by default 0.05.
        label_smoothing: smoothing of the labels in the cross-entropy.
        class_weights: weights of the classes in the cross-entropy. "balanced" gives each class the
            same weight in sum: `N / (K n)` for a class with n of N labels, counted in the training
            set.
        regularisers: terms added to the loss. Each is logged as `penalty_<index>_<class>`.
        channels_last: lay out images channels last, which convolutions on some devices prefer.
        compile: mode of `torch.compile` for training. One function is compiled, from the augmented
            batch to its loss: network, read-out and loss. "reduce-overhead" makes CUDA graphs of it
            and of its backward pass, and is untested on a GPU. Regularisers, augmentation,
            optimiser and evaluation are not compiled. Sequences of different lengths cannot be.
        optim: optimiser and schedule.
    """

    def __init__(
        self,
        network: nn.Module,
        targets: Targets | int = 10,
        timesteps: int | dict[int, int] = 4,
        readout: ReadoutName | Readout | None = None,
        loss: LossName | nn.Module | None = None,
        tet_weight: float | None = None,
        label_smoothing: float = 0.0,
        class_weights: list[float] | Literal["balanced"] | None = None,
        regularisers: list[Regulariser] | None = None,
        channels_last: bool = False,
        compile: Literal["default", "reduce-overhead", "max-autotune"] | None = None,
        optim: OptimConfig = OptimConfig(),  # noqa: B008 - jsonargparse reads the default
    ) -> None:
        super().__init__()
        schedule = {0: timesteps} if isinstance(timesteps, int) else dict(sorted(timesteps.items()))
        if min(schedule, default=-1) != 0 or min(schedule.values()) < 1:
            raise ValueError(
                "timesteps: expected at least 1, or such numbers by the epoch they begin in, the "
                f"first in epoch 0; got {timesteps}"
            )
        if channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network, self._sharded = network, False
        self.schedule, self.timesteps = schedule, [*schedule.values()][-1]
        self.optim = optim
        asked = Targets("classes", targets) if isinstance(targets, int) else targets
        self.balanced = class_weights == "balanced"
        if class_weights is not None and asked.kind == "values":
            raise ValueError("class_weights: the data have values and no classes, expected none")
        if self.balanced and (asked.kind != "classes"):
            raise ValueError(f"class_weights: expected numbers for {asked.kind}, got 'balanced'")
        self.task = make_task(
            asked,
            readout=readout,
            loss=loss,
            label_smoothing=label_smoothing,
            class_weights=None if isinstance(class_weights, str) else class_weights,
            tet_weight=tet_weight,
        )
        # The method is compiled: a compiled module would store every weight under two names.
        self.compiled = torch.compile(self._loss_over, mode=compile) if compile else None
        self.metrics = nn.ModuleDict({"val": nn.ModuleDict(), "test": nn.ModuleDict()})
        for name, metric in self.task.metrics().items():
            cast(nn.ModuleDict, self.metrics["val"])[name] = metric
            cast(nn.ModuleDict, self.metrics["test"])[name] = metric.clone()
        self.confusion = self.task.confusion()
        self.regularisers = nn.ModuleList(regularisers or [])
        for regulariser in regularisers or []:
            regulariser.attach(network)
        names = [f"penalty_{i}_{type(r).__name__}" for i, r in enumerate(self.regularisers)]
        # These are metrics, so that a checkpoint within an epoch has their sums.
        self.means = nn.ModuleDict(
            {name: MeanMetric(nan_strategy="disable") for name in ("train_loss", *names)}
        )
        for mean in self.means.values():
            cast(MeanMetric, mean).persistent(True)
        self.meter = ActivityMeter(network)

    def configure_model(self) -> None:
        """Share out the weights over processes, for `ModelParallelStrategy` (FSDP)."""
        if self.device_mesh is None or self._sharded:
            return
        self._sharded = True
        # The strategy leaves `trainer.sync_batchnorm` undone.
        if sync := getattr(self.trainer.strategy, "_layer_sync", None):
            sync.apply(self)
        fully_shard(self.network, mesh=self.device_mesh["data_parallel"])

    def setup(self, stage: str) -> None:
        if not self.balanced or stage != "fit":
            return
        counts = self.trainer.datamodule.label_counts()  # type: ignore[attr-defined]
        if (counts == 0).any():
            missing = self.task.targets.name(int((counts == 0).nonzero()[0]))
            raise ValueError(
                f"class_weights: class {missing} has no label in the training set, so 'balanced' "
                "gives it no weight; expected numbers"
            )
        self.task.weigh(counts.sum() / (len(counts) * counts.float()))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs over time, for a batch of images or of sequences.

        The network's `shape` tells them apart. Without one, `(B, C, H, W)` is a batch of images.
        """
        steps = self.steps_now() if self.training else self.timesteps
        return self._outputs(x, steps)

    def objective(self, x: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The loss of a training batch without regularisers, compiled if `compile` is given."""
        if self.compiled and lengths is not None:
            raise ValueError("compile: expected none for sequences of different lengths")
        run = self.compiled or self._loss_over
        with self.padding(x, lengths):
            return run(x, targets, self.steps_now())

    def _loss_over(self, x: Tensor, targets: Tensor, steps: int) -> Tensor:
        return self.task.loss(self._outputs(x, steps), targets)

    def padding(self, x: Tensor, lengths: Tensor | None) -> AbstractContextManager[Any]:
        """In which a batch is run: its padding is left out if it has any."""
        return nullcontext() if lengths is None else padded(lengths, len(x))

    def _outputs(self, x: Tensor, steps: int) -> Tensor:
        x = x if self.has_time(x) else repeat(x, steps)
        outputs: Tensor = self.network(x)
        if outputs.shape[:2] != x.shape[:2]:
            raise ValueError(
                f"network: expected outputs (T, B, {self.task.targets.outputs}) for a batch "
                f"{tuple(x.shape)}, time first, got {tuple(outputs.shape)}"
            )
        return outputs

    def has_time(self, x: Tensor) -> bool:
        """Whether a batch has time of its own. What has none is shown for some steps."""
        return x.ndim != len(getattr(self.network, "shape", (0, 0, 0))) + 1

    def steps_now(self) -> int:
        """The number of steps for which an image is shown in this epoch of training."""
        return self.schedule[max(e for e in self.schedule if e <= self.current_epoch)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["made_of"] = self._made_of()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        def sizes(state: dict[str, Any]) -> dict[str, str]:
            tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
            return {k: f"of shape {tuple(v.shape)}" for k, v in tensors.items()}

        if "state_dict" not in checkpoint:  # A strategy has read the weights itself.
            return
        there, here = sizes(checkpoint["state_dict"]), sizes(self.state_dict())
        theirs, ours = checkpoint.get("made_of"), self._made_of()
        if there == here:
            return
        if theirs is None or theirs == ours:
            name = min(n for n in {*there, *here} if there.get(n) != here.get(n))
            raise ValueError(
                f"ckpt_path: the checkpoint is of another network: {name!r} is "
                f"{there.get(name, 'missing')} there, {here.get(name, 'missing')} here; give the "
                "options that it was trained with: its config.yaml has them"
            )
        advice = [f"--model.{k} {v}" for k, v in theirs.items() if ours.get(k) != v]
        raise ValueError(
            f"ckpt_path: the checkpoint is of a {' of '.join(theirs.values())}, the recipe's "
            f"network is a {' of '.join(ours.values())}: give {' '.join(advice)}"
        )

    def _made_of(self) -> dict[str, str]:
        """The classes of the network and of its neurons, by the option that chooses them."""
        parts = [m for m in self.network.modules() if isinstance(m, SpikingLayer | GatedCell)]
        kinds = {"network": type(self.network).__name__}
        if parts:  # the first is the outermost
            option = "cell" if isinstance(parts[0], GatedCell) else "neuron"
            kinds[f"network.{option}"] = type(parts[0]).__name__
        return kinds

    def on_train_start(self) -> None:
        # Computing the schedule's length creates the loader early, and Lightning then does not
        # restore its state.
        self.trainer.fit_loop._load_combined_loader_states()

    def on_train_epoch_start(self) -> None:
        for mean in self.means.values():
            cast(MeanMetric, mean).reset()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Dropout depends on the step alone, and not on where training was resumed.
        step = self.trainer.fit_loop.total_batch_idx
        torch.manual_seed(mix(global_seed(), self.global_rank, step, DROPOUT))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = self.objective(*batch)
        penalties: list[Tensor] = [regulariser() for regulariser in self.regularisers]
        total = sum(penalties, loss)
        for (name, mean), value in zip(self.means.items(), (total, *penalties), strict=True):
            metric = cast(MeanMetric, mean)
            metric.update(value.detach())
            self.log(name, metric, prog_bar=name == "train_loss", on_step=False, on_epoch=True)
        return total

    def validation_step(self, batch: Batch, index: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, index: int) -> None:
        self._evaluate(batch, "test")

    def _evaluate(self, batch: Batch, stage: str) -> None:
        x, targets = batch[:2]
        lengths = batch[2] if len(batch) > 2 else None
        self._samples = (
            x.shape[1] if lengths is not None or self.task.targets.per_step else len(targets)
        )
        with self.padding(x, lengths):
            outputs = self(x)
            scores, loss = self.task.readout(outputs), self.task.loss(outputs, targets)
        if self.trainer.sanity_checking:  # Its few samples may be too few for a metric.
            return
        metrics = cast(nn.ModuleDict, self.metrics[stage])
        self.task.update(metrics, scores, targets)
        if stage == "test" and self.confusion is not None:
            self.confusion.update(*self.task.rows(scores, targets))
        self.log(f"{stage}_loss", loss, batch_size=self._samples)
        for name, module in metrics.items():
            metric = cast(Metric, module)
            main = name == self.task.main
            self.log(f"{stage}_{name}", metric, prog_bar=main, batch_size=self._samples)
            if main:
                self.log(f"{stage}_score", metric, batch_size=self._samples)

    def on_test_start(self) -> None:
        if self.confusion is not None:
            self.confusion.reset()
        self.meter = ActivityMeter(self.network, samples=self._samples_now)
        self.meter.__enter__()

    def _samples_now(self, *inputs: Any) -> int:
        return self._samples

    def on_test_epoch_end(self) -> None:
        activity = self.meter.activity
        self.log("firing_rate", activity.rate)
        self.log("spikes", activity.spikes)
        self.log("sops", activity.sops)
        self.log("energy_nJ", activity.energy / 1000)

    def on_test_end(self) -> None:
        self.meter.__exit__(None, None, None)

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self, self.optim)
        steps = self.trainer.estimated_stepping_batches
        batches = self.trainer.num_training_batches / self.trainer.accumulate_grad_batches
        schedule = make_schedule(optimizer, self.optim, steps, batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
