"""Handwritten digits by the time of the first spike, with exact gradients and no surrogate.

    python examples/first_spikes.py [--seeds 3] [--many]

A pixel is a spike: the darker, the earlier. One hidden layer follows, and the output neuron that
fires first names the digit. Spike times are differentiable, so that is trained like any network.
Then the trained network is converted: from neurons that fire once to neurons that fire many times
and back (with `--many`, the other way round). All answers stay the same.
"""

from __future__ import annotations

import argparse
import math
import statistics

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F

from neurodyn.convert import Events, NLIFKernel, merged, multi_spike, single_spike

LINES, CLASSES, UNTIL = 64 + 2, 10, 40.0
SPAN, LATE = 10.0, 12.0  # the times of the lightest pixel, and of the line that ends a trial
TAU_SYN, SHARPNESS = 5.0, 5.0


def latency(images: Tensor) -> Tensor:
    """Spike times `(samples, lines, 1)` of images `(samples, 64)` in [0, 1]; white pixels never
    fire. Two more lines fire at 0 and at `LATE` for every image."""
    times = torch.where(images > 0, SPAN * (1 - images), torch.inf)
    start = torch.zeros(len(images), 1, dtype=times.dtype)
    return torch.cat([times, start, start + LATE], 1)[:, :, None]


def moved(images: Tensor) -> Tensor:
    """The images a little turned, scaled and shifted."""
    n = len(images)
    angle, scale = (2 * torch.rand(2, n, dtype=images.dtype) - 1) * torch.tensor([[10.0], [0.1]])
    cos, sin = torch.cos(angle * math.pi / 180), torch.sin(angle * math.pi / 180)
    shift = (2 * torch.rand(2, n, dtype=images.dtype) - 1) / 8  # half a pixel
    rows = ((1 + scale) * cos, -sin, shift[0]), (sin, (1 + scale) * cos, shift[1])
    place = torch.stack([torch.stack(row, -1) for row in rows], 1)
    grid = F.affine_grid(place, [n, 1, 8, 8], align_corners=False)
    return F.grid_sample(images.reshape(n, 1, 8, 8), grid, align_corners=False).reshape(n, 64)


def network(hidden: int, *, once: bool) -> Events:
    """One hidden layer. Its last neuron passes on the late line to all outputs, strongly: so every
    output fires, and there is always a gradient."""
    first = 0.08 + 0.15 * torch.randn(hidden + 1, LINES, dtype=torch.float64)
    first[:, -1], first[-1], first[-1, -1] = 0.0, 0.0, 20.0
    second = 128 / hidden * 0.05 + math.sqrt(128 / hidden) * 0.1 * torch.randn(CLASSES, hidden + 1)
    second[:, -1] = 8.0
    net = Events([first, second.double()], kernel=NLIFKernel(TAU_SYN), once=once)
    for module in (net.thresholds, net.kernels):
        module.requires_grad_(False)
    fixed = [torch.ones_like(weight) for weight in net.weights]
    fixed[0][:, -1], fixed[0][-1], fixed[1][:, -1] = 0.0, 0.0, 0.0
    for weight, mask in zip(net.weights, fixed, strict=True):
        weight.register_hook(lambda grad, mask=mask: grad * mask)
    return net


def scores(net: Events, images: Tensor) -> Tensor:
    """The earlier the first spike, the higher the score."""
    return -SHARPNESS * net(latency(images), UNTIL).first().clamp(max=UNTIL)


def train(net: Events, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train it by the times of the first output spikes."""
    optimizer = torch.optim.Adam(net.weights, lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(images)).split(50):
            loss = F.cross_entropy(scores(net, moved(images[batch])), labels[batch])
            # A hidden neuron with too little weight never fires, and then has no gradient.
            silent = F.relu(1 - net.weights[0].sum(1)).sum()
            optimizer.zero_grad()
            (loss + 0.1 * silent).backward()
            nn.utils.clip_grad_norm_(net.weights, 1.0)
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        if epoch % 10 == 9:
            print(f"  epoch {epoch + 1}: loss {total / len(images):.3f}", flush=True)


def convert(net: Events, images: Tensor) -> tuple[Events, Events]:
    """There and back again, for these images."""
    inputs = latency(images)
    bound = net.bound(inputs, UNTIL)
    if net.once:
        there = multi_spike(net, bound)
        return there, single_spike(there, bound)
    there = single_spike(net, bound)
    return there, multi_spike(there, bound)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--many", action="store_true", help="train neurons that fire many times")
    known = parser.parse_args()
    digits = load_digits()
    images, labels = torch.tensor(digits.data / 16), torch.tensor(digits.target)
    x, test_x, y, test_y = train_test_split(
        images, labels, test_size=360, random_state=0, stratify=labels
    )
    found = []
    for seed in range(known.seeds):
        torch.manual_seed(seed)
        net = network(known.hidden, once=not known.many)
        train(net, x, y, known.epochs)
        with torch.no_grad():
            answers = scores(net, test_x).argmax(1)
            found.append(100 * (answers == test_y).double().mean().item())
            sizes = [net.neurons]
            for twin in convert(net, test_x):
                assert torch.equal(scores_of_copies(twin, test_x).argmax(1), answers)
                sizes.append(twin.neurons)
        print(
            f"seed {seed}: {found[-1]:.1f} % of {len(test_y)} test images; "
            f"neurons {' -> '.join(map(str, sizes))}, no prediction changed",
            flush=True,
        )
    if len(found) > 1:
        print(f"{statistics.mean(found):.1f} +- {statistics.stdev(found):.1f} %")


def scores_of_copies(net: Events, images: Tensor) -> Tensor:
    """`scores` of a network whose neurons are copies."""
    inputs = latency(images)
    outputs = merged(net, net(inputs, UNTIL))[-1]
    return -SHARPNESS * F.pad(outputs, (0, 1), value=torch.inf)[..., 0].clamp(max=UNTIL)


if __name__ == "__main__":
    main()
