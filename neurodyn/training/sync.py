"""Batch normalisation over the samples of all processes, on the CPU too."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from neurodyn.step.torch_private import BatchNorm


class SyncedNorms(TorchSyncBatchNorm):
    """What `trainer.sync_batchnorm` does to a model: on GPUs PyTorch's own, on the CPU ours.

    PyTorch has `SyncBatchNorm` for GPUs only.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        if next(model.parameters()).device.type != "cpu":
            return super().apply(model)
        for module in model.modules():
            if isinstance(module, BatchNorm):
                module.__class__ = type("Synced", (_Synced, type(module)), {})
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        if next(model.parameters()).device.type != "cpu":
            return super().revert(model)
        for module in model.modules():
            if isinstance(module, _Synced):
                module.__class__ = type(module).__mro__[2]
        return model


class _Synced:
    """Put in front of a class of batch normalisation: statistics in training are those of all."""

    def forward(self, x: Tensor) -> Tensor:
        norm = cast(Any, self)
        if not norm.training:
            plain: Tensor = super().forward(x)  # type: ignore[misc]
            return plain
        norm._check_input_dim(x)
        over, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        count = wide.new_tensor(x.numel() // x.shape[1])
        dist.all_reduce(count)
        # Two passes: the difference of two large sums would be coarse.
        mean = all_reduce(wide.sum(over)) / count
        centred = wide - mean.view(shape)
        var = all_reduce(centred.square().sum(over)) / count
        with torch.no_grad():
            if norm.track_running_stats:
                norm.num_batches_tracked += 1
                seen = norm.num_batches_tracked
                weight = float(1 / seen) if norm.momentum is None else norm.momentum
                norm.running_mean.lerp_(mean.to(norm.running_mean), weight)
                unbiased = var * count / (count - 1)
                norm.running_var.lerp_(unbiased.to(norm.running_var), weight)
        out: Tensor = centred * torch.rsqrt(var + norm.eps).view(shape)
        if norm.affine:
            out = out * norm.weight.view(shape) + norm.bias.view(shape)
        return out.to(x.dtype)
