import functools
import os
import subprocess
import sys

import lightning as L
import pytest
import torch
from torch import nn

from neurodyn.data import Digits
from neurodyn.layers import READOUTS, Leaky
from neurodyn.layers.regularise import Bounds, FiringRate
from neurodyn.models import ConvNet
from neurodyn.neurons import LNM
from neurodyn.training.guard import Guard, NonFiniteError
from neurodyn.training.learner import Learner
from neurodyn.training.optim import OptimConfig, make_optimizer, make_schedule, parameter_groups


def trainer(**options):
    return L.Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        **options,
    )


def small(**options):
    return Learner(ConvNet(LNM, widths=(4, 6)), **options)


def test_groups():
    groups = {g["name"]: g for g in parameter_groups(small(), OptimConfig(lr=0.1, dynamics_lr=0.5))}
    assert list(groups) == ["weights", "norms and biases", "dynamics"]
    assert len(groups["dynamics"]["params"]) == 8
    assert groups["dynamics"]["lr"] == pytest.approx(0.05)
    decays = {name: group["weight_decay"] for name, group in groups.items()}
    assert decays == {"weights": 0.01, "norms and biases": 0, "dynamics": 0}
    assert all(p.ndim > 1 for p in groups["weights"]["params"])
    counted = sum(len(g["params"]) for g in groups.values())
    assert counted == len(list(small().parameters()))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_schedule_rises_and_falls(name):
    config = OptimConfig(name=name, lr=1.0, warmup=2)
    optimizer = make_optimizer(nn.Linear(2, 2), config)
    schedule = make_schedule(optimizer, config, steps=100, steps_per_epoch=10)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] < 0.1
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 20
    assert rates[-1] < 0.01


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("loss", ["cross-entropy", "tet"])
def test_every_readout_and_loss_trains(readout, loss):
    if READOUTS[readout].per_step:
        with pytest.raises(ValueError, match="readout: the data have a target for the whole"):
            small(readout=readout, loss=loss)
        return
    if loss == "tet" and issubclass(READOUTS[readout], Leaky):
        with pytest.raises(ValueError, match=r"would leave \w+ untrained"):
            small(readout=readout, loss=loss)
        return
    model = small(readout=readout, loss=loss)
    model.task.loss(model(torch.randn(4, 1, 8, 8)), torch.tensor([0, 1, 2, 3])).backward()
    assert model.network.body[0][0].weight.grad.abs().sum() > 0


def test_loss_options_reach_the_loss():
    assert small(loss="tet", tet_weight=0.3, label_smoothing=0.1).task.tet.weight == 0.3
    assert small(loss="tet", label_smoothing=0.1).task.tet.label_smoothing == 0.1
    assert small(label_smoothing=0.2).task.label_smoothing == 0.2
    with pytest.raises(ValueError, match="tet_weight: only loss='tet' has one"):
        small(tet_weight=0.1)


def test_a_schedule_needs_an_end():
    run = L.Trainer(max_epochs=-1, logger=False, enable_progress_bar=False, accelerator="cpu")
    with pytest.raises(ValueError, match="its length has to be known"):
        run.fit(small(), Digits(limit=200))


def test_sequences_pass_as_they_are():
    model = small(timesteps=4)
    assert model(torch.randn(2, 1, 8, 8)).shape == (4, 2, 10)
    assert model(torch.randn(7, 2, 1, 8, 8)).shape == (7, 2, 10)
    for wrong in (0, {}, {1: 2}, {0: 1, 3: 0}):
        with pytest.raises(ValueError, match="timesteps: expected at least 1"):
            small(timesteps=wrong)


class StepsSeen(L.Callback):
    def __init__(self):
        self.seen = []

    def on_train_epoch_start(self, trainer, pl_module):
        handle = pl_module.network.register_forward_pre_hook(
            lambda module, inputs: self.seen.append((module.training, len(inputs[0])))
        )
        self.handle = handle

    def on_train_epoch_end(self, trainer, pl_module):
        self.handle.remove()


def test_timesteps_grow_by_epoch():
    steps = StepsSeen()
    run = trainer(callbacks=[steps], limit_train_batches=1, limit_val_batches=1)
    run.fit_loop.max_epochs = 3
    run.fit(small(timesteps={2: 4, 0: 1, 1: 2}), Digits(limit=200))
    trained = [count for training, count in steps.seen if training]
    validated = [count for training, count in steps.seen if not training]
    assert trained == [1, 2, 4]
    assert validated == [4, 4, 4]


@pytest.mark.parametrize("options", [{"channels_last": True}, {"compile": "default"}])
def test_speed_options_train_the_same_network(options, monkeypatch):
    # Dynamo without Inductor, whose compilation takes a minute.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    plain = small().double()
    fast = small(**options).double()
    assert fast.load_state_dict(plain.state_dict()), "the names in a checkpoint"
    x, labels = 3 * torch.randn(5, 1, 8, 8, dtype=torch.float64), torch.arange(5)
    losses = [model.objective(x, labels) for model in (plain, fast)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    for (name, one), two in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert one.grad.abs().sum() > 0, name
        torch.testing.assert_close(one.grad, two.grad, msg=name)


def test_what_is_compiled_goes_from_the_batch_to_the_loss(monkeypatch):
    graphs = []

    def keep(graph, inputs):
        graphs.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=keep))
    model = small(compile="default", timesteps=2)
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(model, Digits(limit=200))
    (graph,) = graphs
    called = [str(node.target) for node in graph.graph.nodes]
    for part in ("conv2d", "linear", "cross_entropy"):
        assert any(part in name for name in called), part


def test_regularisers_are_terms_of_the_loss():
    terms = [FiringRate(high=0.0, weight=2.0), Bounds("threshold", high=0.5)]
    model = small(regularisers=terms)
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(model, Digits(limit=200))
    logged = run.callback_metrics
    assert logged["penalty_0_FiringRate"] > 0
    assert logged["penalty_1_Bounds"].item() == pytest.approx(0.25 * 2), "thresholds of two layers"
    assert logged["train_loss"] > logged["penalty_0_FiringRate"] + logged["penalty_1_Bounds"]
    with pytest.raises(ValueError, match="name: no neuron of the model has 'period'"):
        small(regularisers=[Bounds("period")])


def test_the_data_may_lie_on_the_device(monkeypatch):
    data = Digits(on_device=True, limit=200)
    data.trainer = trainer()
    monkeypatch.setattr(type(data.trainer.strategy), "root_device", torch.device("meta"))
    data.setup("fit")
    images, labels = next(iter(data.train_dataloader()))
    assert (images.device.type, labels.device.type) == ("meta", "cpu")


def test_channels_last_reaches_the_weights():
    weight = small(channels_last=True).network.body[0][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_precisions(precision):
    run = trainer(precision=precision, limit_train_batches=2, limit_val_batches=1)
    run.fit(small(), Digits(limit=200))
    assert torch.isfinite(run.callback_metrics["train_loss"])


def test_test_reports_activity():
    run = trainer(limit_test_batches=2)
    (score,) = run.test(small(), Digits(), verbose=False)
    activity = {"firing_rate", "spikes", "sops", "energy_nJ"}
    assert set(score) == {"test_loss", "test_score", "test_accuracy", "test_f1"} | activity
    assert score["energy_nJ"] > 0


def test_activity_of_a_network_that_handles_time_and_batch_itself():
    """Its neurons see every image twice, so only the labels tell the number of samples."""

    class Twice(nn.Module):
        shape = (1, 8, 8)

        def __init__(self):
            super().__init__()
            self.neuron = LNM()

        def forward(self, x):
            spikes = self.neuron(torch.cat([x, x], 1))
            return spikes.flatten(2)[:, : x.shape[1], :10]

    module = Learner(Twice(), timesteps=3)
    trainer(limit_test_batches=1).test(module, Digits(batch_size=20), verbose=False)
    assert module.meter.activity.samples == 20
    assert module.meter.activity.updates == 3 * 2 * 64


def test_the_guard_logs_the_gradient_norm():
    run = trainer(callbacks=[Guard()], limit_train_batches=2)
    run.fit(small(), Digits(limit=200))
    assert run.callback_metrics["grad_norm"] > 0


class PoisonedNeuron(L.Callback):
    def on_train_start(self, trainer, pl_module):
        with torch.no_grad():
            pl_module.network.body[4].neuron.c[1].fill_(float("nan"))


def test_the_guard_names_the_broken_layer():
    run = trainer(callbacks=[PoisonedNeuron(), Guard()])
    message = r"epoch 0, step 0: the loss is nan. .*'network.body.4.neuron' \(LNM\).*learning rate"
    with pytest.raises(NonFiniteError, match=message):
        run.fit(small(), Digits(limit=200))


class NaNData(Digits):
    mean = (float("nan"),)


def test_the_guard_blames_the_data_where_it_is_the_data():
    run = trainer(callbacks=[Guard()])
    with pytest.raises(NonFiniteError, match="input batch itself is not finite"):
        run.fit(small(), NaNData(limit=200))


def test_the_guard_names_a_broken_gradient():
    model = small()
    model.network.head[2].weight.register_hook(lambda g: g * float("inf"))
    run = trainer(callbacks=[Guard()])
    with pytest.raises(NonFiniteError, match=r"gradient of 'network.head.2.weight' is not finite"):
        run.fit(model, Digits(limit=200))


def test_the_guard_stops_where_only_the_norm_overflows():
    """Training went on with the next epoch: Lightning takes a StopIteration for the epoch's end."""
    model = small()
    model.network.head[2].weight.register_hook(lambda g: torch.full_like(g, 1e25))
    run = trainer(callbacks=[Guard()])
    with pytest.raises(NonFiniteError, match=r"'network.head.2.weight' is as large as 1.0e\+25"):
        run.fit(model, Digits(limit=200))


@pytest.mark.skipif(not hasattr(os, "confstr"), reason="no C library to ask")
def test_keeping_freed_memory():
    """In a process of its own: the setting cannot be taken back."""
    if "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""):
        pytest.skip("only glibc has the switch")
    code = "from neurodyn.training.memory import keep_freed_memory as k; print(k())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_network_that_puts_the_batch_first():
    class BatchFirst(torch.nn.Module):
        def forward(self, x):
            return x.flatten(2).transpose(0, 1)

    with pytest.raises(ValueError, match=r"network: expected outputs \(T, B, 64\)"):
        Learner(BatchFirst(), targets=64, timesteps=3)(torch.zeros(5, 1, 8, 8))
