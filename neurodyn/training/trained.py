"""A trained model in hand: predict, stream, record, measure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.analysis import Activity, ActivityMeter
from neurodyn.analysis.recording import record
from neurodyn.data import SampleData
from neurodyn.data.adapted import AdaptedModule
from neurodyn.data.targets import Targets
from neurodyn.layers import GatedCell, Stream, repeat
from neurodyn.neurons import Neuron, SpikingLayer, neurons_of
from neurodyn.training.feeding import Feed
from neurodyn.training.learner import Learner
from neurodyn.training.place import Place
from neurodyn.training.predictions import Predictions, joined
from neurodyn.training.weights import Saved


class Trained:
    """A trained model: network and read-out in evaluation mode, and what it knows of its data.

    Samples go in as the data set keeps them, `(N, ...)`: images as bytes, sequences sample first.
    `transform` prepares them as in training, without augmentation. No file of the data set is
    needed for that. Results come back on the CPU.

    Attributes:
        place: where it was loaded from.
        config: the settings in `config.yaml`.
        data: the data set. Its files are read only for `energy()` of the test set.
        saved: weights, epoch, result and state of the data, as they were read.
        device: where the model runs.
    """

    def __init__(
        self,
        place: Place,
        config: dict[str, Any],
        data: SampleData | AdaptedModule,
        learner: Learner,
        saved: Saved,
    ) -> None:
        self.place, self.config, self.data, self.saved = place, config, data, saved
        self.device = torch.device("cpu")
        self._feed = Feed(data, self.device)
        self._learner = learner.eval()

    @property
    def network(self) -> nn.Module:
        """The network, `(T, B, *shape) -> (T, B, outputs)`."""
        return self._learner.network

    @property
    def readout(self) -> nn.Module:
        """From outputs over time to scores."""
        return self._learner.task.readout

    @property
    def neurons(self) -> dict[str, Neuron]:
        """The neurons of the network, by name."""
        return dict(neurons_of(self.network))

    @property
    def targets(self) -> Targets:
        """What the model is asked."""
        return self._learner.task.targets

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the outputs; their numbers, if they have no names."""
        return tuple(self.targets.name(k) for k in range(self.targets.outputs))

    @property
    def shape(self) -> tuple[int, ...]:
        """The network's input at one timestep, without the batch."""
        return self._feed.shape

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """One sample as the data set keeps it."""
        return self._feed.sample_shape

    @property
    def data_name(self) -> str:
        """The class of the data set."""
        return self._feed.name

    @property
    def timesteps(self) -> int:
        """The steps for which an image is shown. Data with a time axis have their own."""
        return self._learner.timesteps

    @property
    def metrics(self) -> dict[str, float]:
        """What the training measured, by name, the main metric first and in percent.

        Of other checkpoints than the best, and of runs of older versions, at most the score on
        validation samples is known.
        """
        result, heading = self.saved.result, self._learner.task.heading
        if "score" not in result:  # Results of older versions have none.
            score = self.saved.val_score
            return {} if score is None else {f"validation {heading}": score}
        found = {result.get("metric", heading): result["score"], **result.get("beside", {})}
        found[f"validation {heading}"] = result["val_score"]
        names = ("firing_rate", "spikes", "sops", "energy_nJ")
        return found | {name: result[name] for name in names if name in result}

    @property
    def has_time(self) -> bool:
        """Whether samples have timesteps of their own. What has none is shown at every step."""
        return self._feed.has_time

    def __repr__(self) -> str:
        metrics = [f"{name} {value:.2f}" for name, value in list(self.metrics.items())[:1]]
        shown = "" if self.has_time else f", shown for {self.timesteps} steps"
        epoch = [] if self.saved.epoch is None else [f"epoch {self.saved.epoch}"]
        seed = self.saved.result.get("seed", self.config.get("seed_everything"))
        seed = [] if seed is None else [f"seed {seed}"]
        lines = [
            f"Trained model from {self.place.weights}",
            f"  network:  {self.kind}, {self.parameters:,} parameters",
            f"  data:     {self.data_name}, {self.shape}{shown}",
            f"  answers:  {self.asked}",
            f"  measured: {', '.join([*metrics, *epoch, *seed]) or 'nothing'}",
        ]
        return "\n".join(lines)

    @property
    def kind(self) -> str:
        """The network's class and that of its neurons or cells."""
        parts = [m for m in self.network.modules() if isinstance(m, SpikingLayer | GatedCell)]
        name = type(self.network).__name__
        return f"{name} of {type(parts[0]).__name__}" if parts else name

    @property
    def asked(self) -> str:
        """What the model is asked, in words: `10 classes`, `1 value at every step`."""
        return f"{self.targets.words}{' at every step' if self.targets.per_step else ''}"

    @property
    def parameters(self) -> int:
        """The number of learned parameters of network and read-out."""
        return sum(p.numel() for p in self._model().parameters())

    def to(self, device: str | torch.device) -> Trained:
        """This model, moved to a device; an error if this machine has none of its kind."""
        self.device = _present(torch.device(device))
        self._feed = Feed(self.data, self.device)
        self._learner.to(self.device)
        return self

    def transform(self, values: Any, lengths: Any | None = None) -> Tensor:
        """Samples as the network gets them: `(T, B, *shape)`, or images `(B, C, H, W)`.

        Args:
            values: samples as the data set keeps them, `(N, ...)`, as a tensor, an array or a list.
            lengths: the number of steps of each, if they differ; padding beyond the longest is cut.
        """
        return self._feed.transform(values, lengths)

    @torch.no_grad()
    def scores(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Scores for a batch that `transform` prepared: `(B, K)`, or `(T, B, K)` per step."""
        with self._learner.padding(x, lengths):
            scores: Tensor = self.readout(self._outputs(x))
        return scores

    def answer(self, scores: Tensor, lengths: Tensor | None = None) -> Predictions:
        """Predictions from scores, such as a stream gives them."""
        scores = scores.detach().float()
        values = self._learner.task.answer(scores).cpu()
        scores = scores.cpu()
        if self.targets.per_step:
            scores = scores.transpose(0, 1)
            values = values.transpose(0, 1)
        return Predictions.of(self.targets, scores, values, lengths)

    def predict(
        self,
        values: Any,
        lengths: Any | None = None,
        *,
        batch_size: int | None = None,
        progress: bool = False,
    ) -> Predictions:
        """The answers for samples.

        Args:
            values: samples as the data set keeps them, `(N, ...)`, or files of the data set's kind:
                `run.predict(run.data.read_files(paths))`.
            lengths: the number of steps of each sample, `(N,)`, if they differ. What is behind
                them does not count.
            batch_size: samples at a time; that of the training unless given.
            progress: show a bar.
        """
        parts = [
            self.answer(self.scores(x, steps), None if steps is None else steps.cpu())
            for x, steps, _ in self._feed.batches(values, lengths, batch_size, progress=progress)
        ]
        return joined(parts)

    def stream(self) -> Stream:
        """Scores of a sequence that comes in chunks:

            stream = run.stream()
            for chunk in chunks:            # (t, B, *shape), as `transform` prepares them
                scores = stream(chunk)      # of all steps so far, or per step of these

        After the last chunk they are those of one call.
        """
        return _ScoreStream(self._model(), self.device)

    def record(self, values: Any) -> dict[str, dict[str, Tensor]]:
        """Spikes and states of every neuron over time, by the neuron's name: a dictionary of
        `spikes`, the charged membrane `h` and each state, `(T, N, *features)`. All samples run as
        one batch.

        Args:
            values: samples as the data set keeps them; behind the end of shorter ones, the numbers
                are those of the padding.
        """
        return record(self.network, self.transform(values), run=self._outputs)

    def energy(
        self,
        values: Any | None = None,
        lengths: Any | None = None,
        *,
        batch_size: int | None = None,
        progress: bool = False,
    ) -> Activity:
        """Spikes, operations and energy by layer; `run.energy(x).table()` shows them.

        Args:
            values: as for `predict`. Unless given, the test set is read.
            lengths, batch_size, progress: as for `predict`.
        """
        batches = (
            self._feed.test_batches(batch_size, progress=progress)
            if values is None
            else self._feed.batches(values, lengths, batch_size, progress=progress)
        )
        samples = 0
        with ActivityMeter(self.network, samples=lambda *_: samples) as meter, torch.no_grad():
            for x, steps, samples in batches:  # noqa: B007 - the meter asks for it
                with self._learner.padding(x, steps):
                    self._outputs(x)
        return meter.activity

    def test_batches(
        self, *, batch_size: int | None = None, limit: int | None = None, progress: bool = False
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """The test set, which is read for that, as the network gets it: inputs `(T, B, *shape)`,
        targets, `(B, ...)` or per step `(T, B, ...)`, and the steps of each sample if they differ.

        Args:
            batch_size: as for `predict`.
            limit: the first so many samples only.
            progress: show a bar.
        """
        for x, targets, lengths in self._feed.labelled_batches(batch_size, progress=progress):
            x = x if self._learner.has_time(x) else repeat(x, self.timesteps)
            rows = x.shape[1] if limit is None else min(limit, x.shape[1])
            own = targets[:, :rows] if self.targets.per_step else targets[:rows]
            yield x[:, :rows], own, None if lengths is None else lengths[:rows]
            limit = None if limit is None else limit - rows
            if limit == 0:
                return

    def _model(self) -> nn.Sequential:
        return nn.Sequential(self.network, self.readout).eval()

    def _outputs(self, x: Tensor) -> Tensor:
        outputs: Tensor = self._learner.eval()(x)
        return outputs


class _ScoreStream(Stream):
    def __init__(self, model: nn.Module, device: torch.device) -> None:
        super().__init__(model)
        self.device = device

    @torch.no_grad()
    def __call__(self, chunk: Tensor) -> Any:
        return super().__call__(torch.as_tensor(chunk).to(self.device))


def _present(device: torch.device) -> torch.device:
    """The device, if PyTorch can use it here."""
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected cpu, got cuda; PyTorch finds no CUDA device here")
    return device
