"""The Lightning module that trains a surrogate."""

from __future__ import annotations

from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from neurodyn.biophysics.noble.loading import load
from neurodyn.biophysics.noble.loss import relative, soft_sag
from neurodyn.biophysics.noble.surrogate import Surrogate
from neurodyn.data.samples import Batch
from neurodyn.errors import check, unknown
from neurodyn.training.optim import OptimConfig, make_schedule

SCHEDULES = ("plateau", "cosine")
"""How the learning rate falls."""


class Noble(L.LightningModule):
    """Trains a surrogate on the traces of a family:

        loss = mean over traces of ||predicted - V||_4 / ||V||_4 + sag |sag(predicted) - sag(V)|

    the second term on negative currents alone, in volts. The optimiser is Adam. With the schedule
    "plateau", that of the paper, the learning rate falls when the training loss has not fallen for
    some epochs. With "cosine" it falls to zero along a cosine, at the last step of the training:
    for comparisons in which all have the same budget.

    Logged for validation and test: `voltage`, the mean relative L2 error; `spikes`, the summed
    difference of spike counts as a share of all spikes; `missed`, the share of firing traces that
    are predicted silent; `false`, the share of silent ones predicted to fire; `score`, which
    selects the epoch: `1 - voltage - spikes`.

    Args:
        network: the surrogate.
        lr: learning rate at the start.
        schedule: "plateau" or "cosine"; `factor`, `patience` and `threshold` are of the first.
        factor: what the learning rate is multiplied by.
        patience: after so many epochs without a lower training loss.
        threshold: a loss is lower if it is so by this share.
        power: of the norm in the loss.
        sag: weight of the error of the sag.
        start_from: checkpoint whose weights to start from, for fine-tuning.
    """

    def __init__(
        self,
        network: Surrogate,
        lr: float = 4e-3,
        schedule: Literal["plateau", "cosine"] = "plateau",
        factor: float = 0.4,
        patience: int = 4,
        threshold: float = 1e-4,
        power: int = 4,
        sag: float = 0.0,
        start_from: str | None = None,
    ) -> None:
        super().__init__()
        check("lr", lr, 0.0)
        if schedule not in SCHEDULES:
            raise unknown("schedule", schedule, SCHEDULES)
        check("power", power, 1)
        check("sag", sag, 0.0)
        self.network = network
        self.lr, self.schedule = lr, schedule
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.power, self.sag = power, sag
        if start_from is not None:
            self.network.load_state_dict(load(start_from).state_dict())
        self.sums: dict[str, Tensor] = {}

    def setup(self, stage: str) -> None:
        embedding = self.network.embedding
        if stage == "fit" and not embedding.fitted:  # Fine-tuning keeps the scale it starts from.
            family = self.trainer.datamodule.family  # type: ignore[attr-defined]
            embedding.fit(family.features[family.part("training")])

    def forward(self, x: Tensor) -> Tensor:
        """The potential [mV], as `Surrogate.forward`."""
        potential: Tensor = self.network(x)
        return potential

    def on_train_start(self) -> None:
        # As in `Learner`: a resumed training goes on with the right batch.
        self.trainer.fit_loop._load_combined_loader_states()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        x, V = batch[0], batch[1][..., 0]
        predicted = self(x)[..., 0]
        loss = relative(predicted, V, self.power).mean()
        if self.sag:
            loss = loss + self.sag * sag_error(predicted, V, x[..., 0])
        self.log("train_loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        self.sums = {}

    def on_test_epoch_start(self) -> None:
        self.sums = {}

    def validation_step(self, batch: Batch, index: int) -> None:
        self._add(batch)

    def test_step(self, batch: Batch, index: int) -> None:
        self._add(batch)

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def on_test_epoch_end(self) -> None:
        self._log("test")

    def _add(self, batch: Batch) -> None:
        x, V = batch[0], batch[1][..., 0]
        predicted = self(x)[..., 0]
        for name, value in sums(predicted, V).items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value

    def _log(self, stage: str) -> None:
        found = {
            name: self.trainer.strategy.reduce(value, reduce_op="sum")
            for name, value in self.sums.items()
        }
        for name, value in shares(found).items():
            self.log(f"{stage}_{name}", value, prog_bar=name in ("voltage", "spikes"))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        if self.schedule == "cosine":
            steps = self.trainer.estimated_stepping_batches
            cosine = make_schedule(optimizer, OptimConfig(lr=self.lr), steps, steps)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": cosine, "interval": "step"},
            }
        plateau = ReduceLROnPlateau(
            optimizer, factor=self.factor, patience=self.patience, threshold=self.threshold
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": plateau, "monitor": "train_loss", "interval": "epoch"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["surrogate"] = self.network.settings


def sag_error(predicted: Tensor, V: Tensor, current: Tensor) -> Tensor:
    """The mean error of the sag [V] where the current is negative; 0 without such traces."""
    rows = current.amin(0) < 0
    if not rows.any():
        return predicted.sum() * 0
    on = current[:, rows] < 0
    gap = soft_sag(predicted[:, rows], on) - soft_sag(V[:, rows], on)
    return gap.abs().mean() / 1000


def count_spikes(V: Tensor, threshold: float = -20.0) -> Tensor:
    """How often each potential crosses a threshold [mV] upwards, `(T, B)` to `(B,)`."""
    return ((V[:-1] < threshold) & (V[1:] >= threshold)).sum(0)


def sums(predicted: Tensor, V: Tensor) -> dict[str, Tensor]:
    """What is added up over batches."""
    found, true = count_spikes(predicted), count_spikes(V)
    return {
        "traces": V.new_tensor(V.shape[1]),
        "voltage": relative(predicted, V, 2).sum(),
        "off": (found - true).abs().sum().float(),
        "spikes": true.sum().float(),
        "firing": (true > 0).sum().float(),
        "missed": ((true > 0) & (found == 0)).sum().float(),
        "false": ((true == 0) & (found > 0)).sum().float(),
    }


def shares(sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """The errors, as shares of 1."""
    silent = sums["traces"] - sums["firing"]
    voltage, spikes = sums["voltage"] / sums["traces"], sums["off"] / sums["spikes"].clamp(min=1)
    return {
        "voltage": voltage,
        "spikes": spikes,
        "missed": sums["missed"] / sums["firing"].clamp(min=1),
        "false": sums["false"] / silent.clamp(min=1),
        "score": 1 - voltage - spikes,
    }
