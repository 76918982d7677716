"""Ten architectures and what `falsify --on` says of each: ``python -m verify.studies.architectures`` writes the pages.

Small members of the families that pruning papers use, with drawn weights, at the quick budget.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from verify.networks import zoo
from verify.networks.claims.examination import Examination
from verify.networks.claims.examine import examine
from verify.networks.claims.report import write_report
from verify.search.budgets import budget_named
from verify.trials import files

PAGES = Path(__file__).resolve().parents[2] / "docs" / "architectures"
SAMPLES = 4


@dataclass(frozen=True)
class Architecture:
    """A network to be read about.

    Attributes:
        name: of its page.
        sentence: what it is.
        build: the module.
        shape: of one input.
    """

    name: str
    sentence: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]


def _perceptron(widths: Sequence[int], bias: bool, act: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    layers = [m for a, b in itertools.pairwise(widths) for m in (nn.Linear(a, b, bias=bias), act())]
    return nn.Sequential(*layers[:-1])


def _lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(256, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def _vgg() -> nn.Module:
    widths, layers, before = (8, "M", 16, "M", 32, 32, "M"), [], 3
    for w in widths:
        if isinstance(w, int):
            layers += [nn.Conv2d(before, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.ReLU()]
            before = w
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


class _Dense(nn.Module):
    """A block whose layers read all before them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 4 * i, 4, 3, padding=1, bias=False) for i in range(3))
        self.head = nn.Linear(15, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, torch.relu(layer(x))], 1)
        return self.head(x.mean((2, 3)))


class _Mixed(nn.Module):
    """One block of a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, activation="gelu", batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


ARCHITECTURES = (
    Architecture("perceptron-tiny", "Two inputs, three hidden ReLUs, two outputs, no biases: every path can be listed.",
                 lambda: _perceptron((2, 3, 2), False), (2,)),
    Architecture("perceptron", "Three dense layers with ReLUs and biases.",
                 lambda: _perceptron((64, 32, 32, 10), True), (64,)),
    Architecture("perceptron-without-biases", "The same without biases, the network of most proofs.",
                 lambda: _perceptron((64, 32, 32, 10), False), (64,)),
    Architecture("perceptron-leaky", "Leaky ReLUs: gates of two slopes.",
                 lambda: _perceptron((64, 32, 32, 10), False, lambda: nn.LeakyReLU(0.25)), (64,)),
    Architecture("perceptron-gelu", "GELU in place of ReLU, outside the theory.",
                 lambda: _perceptron((64, 32, 32, 10), True, nn.GELU), (64,)),
    Architecture("lenet", "LeNet: convolutions, max pooling, dense layers.", _lenet, (1, 28, 28)),
    Architecture("vgg", "VGG in small: convolutions without biases, batch normalisation, max pooling.",
                 _vgg, (3, 16, 16)),
    Architecture("resnet20", "ResNet-20 with a quarter of its channels.",
                 lambda: zoo.build("resnet20", width=4), (3, 16, 16)),
    Architecture("densenet", "A dense block: every layer reads all layers before it.", _Dense, (3, 8, 8)),
    Architecture("transformer", "Patches, one block of a transformer, a linear head.", _Mixed, (3, 16, 16)),
)  # fmt: skip


def report(a: Architecture) -> Examination:
    """The examination of one of them, from fixed weights and inputs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = a.build().eval()
    x = torch.randn(SAMPLES, *a.shape, generator=torch.Generator().manual_seed(1))
    return examine(module, x, name=a.name, examples=budget_named("quick").examples)


def index(found: Sequence[tuple[Architecture, str]]) -> str:
    """The page that lists them."""
    lines = ["# Ten architectures", "", "What `python -m verify falsify --on` says of each, at the quick budget and on "
             "drawn weights; written by `python -m verify.studies.architectures`.", ""]  # fmt: skip
    lines += [f"- [{a.name}]({a.name}.md): {a.sentence} {summary}." for a, summary in found]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the pages that are asked for, or all, and the list of them."""
    wanted = sys.argv[1:] or [a.name for a in ARCHITECTURES]
    PAGES.mkdir(parents=True, exist_ok=True)
    for a in ARCHITECTURES:
        if a.name in wanted:
            write_report(str(PAGES / f"{a.name}.md"), report(a))
            print(PAGES / f"{a.name}.md", flush=True)
    listed = [(a, (PAGES / f"{a.name}.md").read_text().splitlines()[2].rstrip(".")) for a in ARCHITECTURES
              if (PAGES / f"{a.name}.md").exists()]  # fmt: skip
    files.write(PAGES / "README.md", index(listed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
