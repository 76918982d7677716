"""Exact NTK trace: ratios to K plain backward passes, for this project and its peers.

The floor is one forward and a backward pass of the whole batch for each of the K outputs: what it costs
to get the gradients summed over the batch, without any norm. Everything is float32 on one thread; see
`verify.bench.measure` for how it is timed. All are measured with the allocator as it comes, and with one
that keeps its pages; the ratios in a row are to the floor under the same allocator.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from verify.bench.measure import ALLOCATORS, Job, compare, line

CASES = (("mlp 784-200-200-10", 128, 0.35), ("resnet20", 32, 0.75), ("vgg16_bn", 4, 0.40))
"""What, samples, and the ratio aimed at."""
PEERS = ("BackPACK", "Opacus", "vmap(jacrev)")
ESTIMATE = "ntk_trace_estimate, two probes"


def build(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """The network and the shape of a sample; float32, evaluation mode."""
    from verify.networks import zoo

    if name.startswith("mlp"):
        widths = [int(w) for w in name.split()[1].split("-")]
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for a, b in pairwise(widths):
                layers += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*layers[:-1]).eval(), (widths[0],)
    return zoo.build(name), (3, 32, 32)


def inputs(samples: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal inputs, seeded."""
    return torch.randn(samples, *shape, generator=torch.Generator().manual_seed(0))


def job(who: str, name: str, samples: int) -> Callable[[], Any]:
    """What is timed; the peers' own modules are imported here, so that a missing one is only missing."""
    module, shape = build(name)
    x = inputs(samples, shape)
    if who == "K backward passes":
        return lambda: backward_passes(module, x)
    if who == "BackPACK":
        return backpack(module, x)
    if who == "Opacus":
        return opacus(module, x)
    if who == "vmap(jacrev)":
        from verify.networks.ntk.jacobians import jacobian_squares

        return lambda: jacobian_squares(module, x).sum()
    from verify.networks.ntk.trace import ntk_trace, ntk_trace_estimate
    from verify.networks.recording.record import record_for

    if who == ESTIMATE:
        return lambda: ntk_trace_estimate(module, x, probes=2).value
    if who == "ntk_trace":
        return lambda: ntk_trace(module, x)
    if who == "ntk_trace, recorded before":
        graph = record_for(module, x)
        return lambda: ntk_trace(module, x, graph=graph)
    raise KeyError(f"no competitor is called {who!r}")


def backward_passes(module: nn.Module, x: Tensor) -> None:
    """The floor: one forward, then a backward pass of the whole batch for each output."""
    y = module(x).sum(0)
    parameters = list(module.parameters())
    for k in range(len(y)):
        torch.autograd.grad(y[k], parameters, retain_graph=k + 1 < len(y))


def backpack(module: nn.Module, x: Tensor) -> Callable[[], Any]:
    """BackPACK's squared norms of per-sample gradients, output by output."""
    import backpack as peer
    from backpack.extensions import BatchL2Grad

    module = peer.extend(_in_sequence(module)).eval()

    def run() -> Tensor:
        y, total = module(x).sum(0), torch.zeros((), dtype=torch.float64)
        for k in range(len(y)):
            module.zero_grad()
            with peer.backpack(BatchL2Grad(), retain_graph=k + 1 < len(y)):
                y[k].backward(retain_graph=k + 1 < len(y))
            total += sum(p.batch_l2.double().sum() for p in module.parameters())  # type: ignore[attr-defined]
        return total

    return run


def _in_sequence(module: nn.Module) -> nn.Module:
    """A residual network as the sequence of modules that BackPACK asks for (its converter fails on ours)."""
    from verify.networks.zoo import CifarResNet

    if not isinstance(module, CifarResNet):
        return module
    from backpack.custom_module.branching import Parallel

    blocks = []
    for b in module.blocks:
        long = nn.Sequential(b.conv1, b.bn1, nn.ReLU(), b.conv2, b.bn2)  # type: ignore[arg-type]
        blocks.append(nn.Sequential(Parallel(long, b.shortcut), nn.ReLU()))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), module.fc)
    return nn.Sequential(module.conv, module.bn, nn.ReLU(), *blocks, *head)


def opacus(module: nn.Module, x: Tensor) -> Callable[[], Any]:
    """Opacus's per-sample gradients, output by output, and their squared norms."""
    from opacus.grad_sample import GradSampleModule

    wrapped = GradSampleModule(_frozen(module), loss_reduction="sum", strict=False).train()

    with torch.no_grad():
        outputs = wrapped(x[:1]).shape[1]

    def run() -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for k in range(outputs):
            wrapped.zero_grad()
            # Its hooks use the activations up: a forward for each backward.
            wrapped(x)[:, k].sum().backward()
            total += sum(p.grad_sample.double().square().sum() for p in wrapped.parameters())
        return total

    return run


class Frozen(nn.Module):
    """A normalisation in evaluation mode that stays so: Opacus only looks at layers in training mode."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # No buffers: Opacus refuses layers of its user's that have some.
        self.mean = norm.running_mean[:, None, None]
        self.inverse = (norm.running_var + norm.eps).rsqrt()[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return (x - self.mean) * self.inverse * self.weight[:, None, None] + self.bias[:, None, None]


def _frozen(module: nn.Module) -> nn.Module:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, Frozen(child))
        else:
            _frozen(child)
    return module


def run(repeats: int = 5, peers: bool = True) -> list[dict[str, Any]]:
    """One row for each network, allocator and competitor.

    Args:
        repeats: rounds that count.
        peers: whether the peers are measured, too.
    """
    rows = []
    for name, samples, goal in CASES:
        names = ["K backward passes", "ntk_trace", "ntk_trace, recorded before", ESTIMATE, *(PEERS if peers else ())]
        for allocator in ALLOCATORS:
            jobs = [Job(who, "verify.bench.ntk:job", {"who": who, "name": name, "samples": samples}) for who in names]
            found = compare(
                jobs, repeats=repeats if "mlp" not in name else 3 * repeats, allocator=allocator, patience=2
            )
            floor, ours = found["K backward passes"], found["ntk_trace"]
            for who, measured in found.items():
                row = line(who, measured, floor, network=name, samples=samples, allocator=allocator)
                row["goal"] = goal if who.startswith("ntk_trace") and who != ESTIMATE else ""
                if measured.value is not None and ours.value:
                    row["note"] = f"trace {measured.value / ours.value - 1:+.1e} from ours"
                rows.append(row)
    return rows


def about() -> dict[str, str]:
    """What belongs beside the numbers."""
    from verify.bench import measure

    return measure.about("backpack-for-pytorch", "opacus")
