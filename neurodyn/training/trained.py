"""A trained model in hand: load the folder of a run, predict, stream, record, measure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from neurodyn.analysis import Activity, ActivityMeter
from neurodyn.analysis.recording import record
from neurodyn.data import SampleData
from neurodyn.data.targets import Targets
from neurodyn.layers import GatedCell, Stream, padded
from neurodyn.neurons import Neuron, SpikingLayer, neurons_of
from neurodyn.training.allowed import allow, only_allowed
from neurodyn.training.learner import Learner
from neurodyn.training.links import link_data
from neurodyn.training.parser import RecipeParser, plain
from neurodyn.training.place import CONFIG, Place, find_run
from neurodyn.training.predictions import Predictions, joined
from neurodyn.training.weights import Saved, fill, read_saved

FOR_TRAINING = ("optim", "regularisers", "compile")
"""Settings of a model that only its training needs."""

BATCH = 128
"""Samples at a time, if the data set does not say how many."""

Inputs = tuple[Tensor, Tensor | None, int]
"""A batch as the network gets it, the steps of each sample if they differ, and their number."""


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
        self, place: Place, config: dict[str, Any], data: SampleData, learner: Learner, saved: Saved
    ) -> None:
        self.place, self.config, self.data, self.saved = place, config, data, saved
        self.device = torch.device("cpu")
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
        return tuple(self.data.shape)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """One sample as the data set keeps it."""
        return tuple(getattr(self.data, "sample_shape", self.data.shape))

    @property
    def data_name(self) -> str:
        """The class of the data set."""
        return str(getattr(self.data, "title", type(self.data).__name__))

    @property
    def timesteps(self) -> int:
        """The steps for which an image is shown. Data with a time axis have their own."""
        return self._learner.timesteps

    @property
    def metrics(self) -> dict[str, float]:
        """What the training measured, by name, the main metric first and in percent.

        Empty for other checkpoints than the best: nothing was measured with their weights.
        """
        result, heading = self.saved.result, self._learner.task.heading
        if not result:
            score = self.saved.val_score
            return {} if score is None else {f"validation {heading}": score}
        found = {result.get("metric", heading): result["score"], **result.get("beside", {})}
        found[f"validation {heading}"] = result["val_score"]
        names = ("firing_rate", "spikes", "sops", "energy_nJ")
        return found | {name: result[name] for name in names if name in result}

    def __repr__(self) -> str:
        metrics = [f"{name} {value:.2f}" for name, value in list(self.metrics.items())[:1]]
        shown = "" if self._has_time else f", shown for {self.timesteps} steps"
        per = " per step" if self.targets.per_step else ""
        epoch = [] if self.saved.epoch is None else [f"epoch {self.saved.epoch}"]
        seed = self.saved.result.get("seed", self.config.get("seed_everything"))
        seed = [] if seed is None else [f"seed {seed}"]
        lines = [
            f"Trained model from {self.place.weights}",
            f"  network:  {self.kind}, {self.parameters:,} parameters",
            f"  data:     {self.data_name}, {self.shape}{shown}",
            f"  answers:  {self.targets.outputs} {self.targets.kind}{per}",
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
    def parameters(self) -> int:
        """The number of learned parameters of network and read-out."""
        return sum(p.numel() for p in self._model().parameters())

    def to(self, device: str | torch.device) -> Trained:
        """This model, moved to a device."""
        self.device = torch.device(device)
        self._learner.to(self.device)
        return self

    def transform(self, values: Any, lengths: Any | None = None) -> Tensor:
        """Samples as the network gets them: `(T, B, *shape)`, or images `(B, C, H, W)`.

        Args:
            values: samples as the data set keeps them, `(N, ...)`, as a tensor, an array or a list.
            lengths: the number of steps of each, if they differ; padding beyond the longest is cut.
        """
        samples = self._samples(values).to(self.device)
        if lengths is not None:
            samples = samples[:, : int(torch.as_tensor(lengths).max())]
        x = _as_input(self.data, samples)
        times = x.ndim - len(self.shape)
        if times not in (1, 2) or tuple(x.shape[times:]) != self.shape:
            wanted = ", ".join(map(str, ("N", *self.sample_shape)))
            raise ValueError(
                f"values: expected samples ({wanted}) as {self.data_name} keeps them, "
                f"got {tuple(samples.shape)}"
            )
        return x

    @torch.no_grad()
    def scores(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Scores for a batch that `transform` prepared: `(B, K)`, or `(T, B, K)` per step."""
        with self._padding(x, lengths):
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
            for x, steps, _ in self._batches(values, lengths, batch_size, progress)
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
            self._test_batches(batch_size, progress)
            if values is None
            else self._batches(values, lengths, batch_size, progress)
        )
        samples = 0
        with ActivityMeter(self.network, samples=lambda *_: samples) as meter, torch.no_grad():
            for x, steps, samples in batches:  # noqa: B007 - the meter asks for it
                with self._padding(x, steps):
                    self._outputs(x)
        return meter.activity

    @property
    def _has_time(self) -> bool:
        return hasattr(self.data, "steps") or len(self.sample_shape) > len(self.shape)

    def _model(self) -> nn.Sequential:
        return nn.Sequential(self.network, self.readout).eval()

    def _outputs(self, x: Tensor) -> Tensor:
        outputs: Tensor = self._learner.eval()(x)
        return outputs

    def _padding(self, x: Tensor, lengths: Tensor | None) -> AbstractContextManager[Any]:
        return nullcontext() if lengths is None else padded(lengths, len(x))

    def _samples(self, values: Any) -> Tensor:
        """Samples in a type that the data set keeps, if nothing is lost by that."""
        samples = torch.as_tensor(values)
        known = getattr(self.data, "dtypes", ())
        if not known or samples.dtype in known:
            return samples
        fractions = [dtype for dtype in known if dtype.is_floating_point]
        kept = samples.to(fractions[0] if fractions else known[0])
        if not fractions and not torch.equal(kept.double(), samples.double()):
            raise ValueError(
                f"values: expected {' or '.join(map(str, known))} as {self.data_name} keeps "
                f"its samples, got {samples.dtype} from {samples.min():g} to "
                f"{samples.max():g}; `scores` takes a batch that is prepared already"
            )
        return kept

    def _batches(
        self, values: Any, lengths: Any | None, batch_size: int | None, progress: bool
    ) -> Iterator[Inputs]:
        if isinstance(values, tuple) and hasattr(values, "names"):
            files: Any = values
            values, lengths, total = files.values, files.lengths, len(files.names)
        else:
            values = self._samples(values)
            total = len(values)
        if not total:
            raise ValueError("values: expected at least one sample, got none")
        steps = None if lengths is None else torch.as_tensor(lengths)
        if steps is not None and steps.shape != (total,):
            raise ValueError(
                f"lengths: expected one number for each of {total} samples, got "
                f"{tuple(steps.shape)}"
            )
        size = batch_size or getattr(self.data, "batch_size", BATCH)
        with tqdm(total=total, unit="sample", disable=not progress, dynamic_ncols=True) as bar:
            for rows in torch.arange(total).split(size):
                own = None if steps is None else steps[rows].to(self.device)
                yield self.transform(values[rows], own), own, len(rows)
                bar.update(len(rows))

    def _test_batches(self, batch_size: int | None, progress: bool) -> Iterator[Inputs]:
        if batch_size and isinstance(self.data, SampleData):
            self.data.batch_size = batch_size
        self.data.prepare_data()
        self.data.setup("test")
        batches: Iterable[Any] = self.data.test_dataloader()
        for batch in tqdm(batches, unit="batch", disable=not progress, dynamic_ncols=True):
            # As Lightning's trainer does it.
            before = self.data.on_before_batch_transfer(batch, 0)
            moved = self.data.transfer_batch_to_device(before, self.device, 0)
            x, _, *lengths = self.data.on_after_batch_transfer(moved, 0)
            yield x, lengths[0] if lengths else None, x.shape[x.ndim - len(self.shape) - 1]


class _ScoreStream(Stream):
    def __init__(self, model: nn.Module, device: torch.device) -> None:
        super().__init__(model)
        self.device = device

    @torch.no_grad()
    def __call__(self, chunk: Tensor) -> Any:
        return super().__call__(chunk.to(self.device))


def load(
    run: str | Path,
    *,
    imports: Sequence[str] = (),
    checkpoint: str = "best",
    device: str | torch.device = "cpu",
    data: Mapping[str, Any] | None = None,
) -> Trained:
    """A trained model, from the folder of its run. No file of its data set is read.

    A run folder from elsewhere runs no code: the rule for recipes holds for the class paths in its
    `config.yaml`, and weights are tensors and nothing else.

    Args:
        run: the folder of a run of a comparison (`runs/digits/lnm/seed-0`), of a training
            (`runs/fit/version_0`), or of a model card; or a checkpoint in one of them.
        imports: modules of yours whose classes the run may name.
        checkpoint: "best", "last", or the name of another checkpoint in the folder.
        device: where the model runs.
        data: options of the data set that are different here, such as `{"root": "~/data"}`.
    """
    for module in imports:
        allow(module)
    place = find_run(run, checkpoint)
    config, saved = place.config(), read_saved(place)
    learner, made = _built(place, config, saved, data or {})
    parts = nn.ModuleDict({"network": learner.network, "readout": learner.task.readout})
    fill(parts, saved.weights, place.weights)
    return Trained(place, config, made, learner, saved).to(device)


def _built(
    place: Place, config: dict[str, Any], saved: Saved, other: Mapping[str, Any]
) -> tuple[Learner, SampleData]:
    """The learner and the data set of a run's settings; an error names their file.

    Args:
        place: where they are from.
        config: the settings.
        saved: has the state of the data set.
        other: options of the data set that replace those in the settings.
    """

    def restored(cls: type[SampleData], *args: Any, **options: Any) -> SampleData:
        made = cls(*args, **options)
        if cls.__qualname__ in saved.data:
            made.load_state_dict(saved.data[cls.__qualname__])
        return made

    data = {**config["data"], "init_args": {**config["data"].get("init_args", {}), **other}}
    model = {key: value for key, value in config["model"].items() if key not in FOR_TRAINING}
    parser = RecipeParser(prog="neurodyn")
    parser.add_lightning_class_args(SampleData, "data", subclass_mode=True)
    parser.add_lightning_class_args(Learner, "model")
    link_data(parser)
    try:
        # What a network's weights start from is replaced, and must not cost the caller's numbers.
        with only_allowed(), torch.random.fork_rng(devices=[]):
            settings = parser.parse_object({"data": data, "model": model})
            made = parser.instantiate(settings, instantiators=[(restored, SampleData, True)])
    except ValueError as error:
        raise ValueError(f"{place.folder / CONFIG}: {plain(str(error))}") from error
    return made.model, made.data


def _as_input(data: SampleData, samples: Tensor) -> Tensor:
    ready = getattr(data, "as_input", None)
    if ready is not None:
        x: Tensor = ready(samples)
        return x
    labels = torch.zeros(len(samples), dtype=torch.int64, device=samples.device)
    return data.prepare(samples, labels, None)[0]
