"""PX as its public code computes it: another quantity than the paper's, kept to show by how much."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from verify.networks.paths.sums import gradients
from verify.networks.recording.graph import NotCovered
from verify.networks.recording.modes import untouched


class _Gates(TorchFunctionMode):
    """ReLUs that record their gates, copy them, or do nothing."""

    def __init__(self, job: str, gates: list[Tensor]) -> None:
        super().__init__()
        self.job, self.gates, self.used = job, gates, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") not in ("relu", "leaky_relu"):
            return func(*args, **(kwargs or {}))
        if self.job == "open":
            return args[0]
        if self.job == "record":
            self.gates.append((args[0] > 0).to(args[0]))
            return func(args[0], *args[1:], **{k: v for k, v in (kwargs or {}).items() if k != "inplace"})
        self.used += 1
        if self.used > len(self.gates) or self.gates[self.used - 1].shape != args[0].shape:
            raise NotCovered("", "", "has other gates for other data: a static graph is needed", "px-released")
        return args[0] * self.gates[self.used - 1]


@untouched
def released(
    module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None, skipped: Sequence[str] = ("bn", "fc"),
    training: bool = True,
) -> dict[str, Tensor]:  # fmt: skip
    """PX as the repository iurada/px-ntk-pruning computes it at commit ed6c40ea, parameter by parameter.

    Parameters and buffers with "bn" or "fc" in their name are left as they are, all others are set to 1 in
    the first auxiliary network (inputs x^2, gates copied) and squared in the second (inputs 1, no gates).
    Both run in training mode: normalisations use the statistics of the batch, which for the second is
    a batch of identical inputs. The score is |gradient by the squared weight| times theta^2.

    Args:
        module: the module.
        x: inputs, one batch.
        masks: masks of weights; masked weights are multiplied by 0 in each network.
        skipped: parts of names of what is left as it is.
        training: whether the auxiliary networks use the statistics of their batch, as released; False uses
            the stored ones.
    """
    masks = {} if masks is None else masks
    try:
        original = copy.deepcopy(module).eval()
    except Exception as e:
        line = str(e).strip().splitlines()[0]
        raise NotCovered("", "", f"cannot be copied, as the released code needs: {line}", "px-released") from e
    with torch.no_grad():
        for n, p in original.named_parameters():
            p.copy_(p * masks[n].to(p) if n in masks else p)
    gates: list[Tensor] = []
    with torch.no_grad(), _Gates("record", gates):
        original(x)
    ones, squared = copy.deepcopy(original), copy.deepcopy(original).requires_grad_()
    with torch.no_grad():
        for n, t in squared.state_dict().items():
            if not any(s in n for s in skipped):
                t.pow_(2)
        for n, t in ones.state_dict().items():
            if not any(s in n for s in skipped):
                t.copy_(masks[n].to(t)) if n in masks else t.fill_(1)
    with torch.no_grad(), _Gates("copy", gates):
        first = ones.train(training)(x * x)
    with torch.enable_grad(), _Gates("open", []):
        second = squared.train(training)(torch.ones_like(x))
        wanted = dict(squared.named_parameters())
        g = gradients((first * second).sum(), list(wanted.values()))
    out = {}
    for (n, p), a in zip(original.named_parameters(), g, strict=True):
        s = a.abs() * p.detach() ** 2
        out[n] = s * masks[n].to(s) if n in masks else s
    return out
