"""The papers' own protocols, by name: what is trained how, and what it would cost before it is started.

Sparsities, epochs, batch and rate are the papers'. Not theirs: no warm-up of the rate; its steps after half and three
quarters of the epochs where the paper's are not known here; bfloat16 on a GPU. None of this has been run at its full
size here; at "small" the same code trains a part of the data for few epochs.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from theory.names import did_you_mean
from verify.experiments import cifar, published
from verify.trials import Configuration, data, experiment
from verify.trials.streams import stream
from verify.trials.training import ImageRecipe, train_module

PX_SPARSITIES = (36.00, 59.04, 73.79, 83.22, 89.26, 93.12, 95.60, 97.17, 98.20)
"""Per cent of the weights removed, as in the tables of Path eXclusion (1 - 0.8^k for k = 2, 4, 6, ...)."""


@dataclass(frozen=True)
class Protocol:
    """A paper's table or figure.

    Attributes:
        name: what it is called here.
        source: paper and what of it.
        network, dataset, classes, size: what is trained, on images of which height.
        densities: shares of the weights kept.
        seeds: repetitions.
        recipe: how it is trained.
        rounds: of methods that iterate.
        scored_on: images that scores see, in one batch.
        arms: methods with their modes, "dense" beside them.
        small: what else scale "smoke" and "small" change for this network.
    """

    name: str
    source: str
    network: str
    dataset: str
    classes: int
    size: int
    densities: tuple[float, ...]
    seeds: int
    recipe: ImageRecipe = ImageRecipe()
    rounds: int = 100
    scored_on: int = 128
    arms: tuple[dict[str, Any], ...] = cifar.PUBLISHED
    small: Mapping[str, int] = field(default_factory=dict)


_VGG = {"size": 32, "samples": 200, "epochs": 1}
"""Four poolings need images of 32 x 32, and an epoch of those takes minutes on a core."""
_SYNFLOW = ("random", "magnitude", "snip", "grasp", "synflow")
_KEPT = tuple(round(1 - s / 100, 6) for s in PX_SPARSITIES)
PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        Protocol(
            "px-resnet20-cifar10", "arXiv 2406.01820, ResNet-20 on CIFAR-10", "resnet20", "cifar10", 10, 32, _KEPT, 3
        ),
        Protocol(
            "px-vgg16-cifar100", "arXiv 2406.01820, VGG-16 on CIFAR-100", "vgg16_bn", "cifar100", 100, 32, _KEPT, 3,
            scored_on=256, small=_VGG,
        ),
        Protocol(
            "synflow-vgg16-cifar10", "arXiv 2006.05467, compression ladder, VGG-16 on CIFAR-10", "vgg16_bn", "cifar10",
            10, 32, tuple(round(10 ** (-e / 4), 6) for e in range(1, 13)), 3,
            ImageRecipe(160, 128, 0.1, decay=1e-4, milestones=(60, 120)),
            arms=tuple(arm for arm in cifar.PUBLISHED if arm["method"] in _SYNFLOW), scored_on=256, small=_VGG,
        ),
    )
}  # fmt: skip
"""Every protocol by name."""


def protocol_named(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        KeyError: there is none; names near misses.
    """
    if name not in PROTOCOLS:
        raise KeyError(f"no protocol is called {name!r}; {did_you_mean(name, PROTOCOLS)} known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


SCALES: dict[str, dict[str, Any]] = {
    "smoke": {"samples": 200, "test": 200, "size": 8, "epochs": 1, "rounds": 5, "seeds": 1, "densities": 2},
    "small": {"samples": 2000, "test": 2000, "size": 8, "epochs": 4, "rounds": 30, "seeds": 3, "densities": 3},
    "full": {"samples": 0, "test": 0, "epochs": 30, "device": "cuda"},
    "papers": {"samples": 0, "test": 0, "device": "cuda"},
}
"""What of a protocol is cut down; "papers" takes it as it is. 0 samples are all of them."""


def configurations(name: str, scale: str) -> list[Configuration]:
    """The trials of a protocol at a scale, seed by seed."""
    p = protocol_named(name)
    cut = {**SCALES[scale], **(p.small if scale in ("smoke", "small") else {})}
    kept = p.densities[-cut["densities"] :] if "densities" in cut else p.densities
    epochs = cut.get("epochs", p.recipe.epochs)
    shared = {
        "network": p.network, "dataset": p.dataset, "classes": p.classes, "size": cut.get("size", p.size),
        "samples": cut["samples"], "test": cut["test"], "epochs": epochs, "batch": p.recipe.batch,
        "rate": p.recipe.rate, "decay": p.recipe.decay,
        "milestones": [round(m * epochs / p.recipe.epochs) for m in p.recipe.milestones],
        "rounds": cut.get("rounds", p.rounds), "scored_on": p.scored_on, "device": cut.get("device", "cpu"),
    }  # fmt: skip
    arms = [{"method": "dense", "density": 1.0}, *({**arm, "density": d} for d in kept for arm in p.arms)]
    seeds = range(cut.get("seeds", p.seeds))
    return [pruned_training.configuration(**shared, **arm, seed=s) for s in seeds for arm in arms]


@functools.cache
def _images(dataset: str, split: str, samples: int, size: int) -> tuple[Tensor, Tensor]:
    """As `cifar.images`, of any data set of square images and normalised by this split's own channels."""
    found = data.load(dataset, data_dir=data.folder(dataset), split=split, samples=samples or None, seed=0)
    x = torch.tensor(found.x, dtype=torch.float32)
    if size < 1 or x.shape[-1] % size:
        raise ValueError(f"size divides {x.shape[-1]}; got {size}")
    x = nn.functional.avg_pool2d(x, x.shape[-1] // size)
    spread, mean = torch.std_mean(x, (0, 2, 3), keepdim=True)
    return (x - mean) / spread, torch.tensor(found.y)


@experiment
def pruned_training(
    network: str, dataset: str, method: str, density: float, *, classes: int, size: int, samples: int, test: int,
    epochs: int, batch: int, rate: float, decay: float, milestones: list[int], rounds: int, scored_on: int,
    statistics: str = "evaluation", temperature: float = 1.0, absolute: bool = False, draws: int = 0,
    device: str = "cpu", seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Prune a network at initialisation by one global ranking, train it, and measure its test accuracy.

    Args:
        network: a name of `verify.networks.zoo`.
        dataset: a name that `verify.trials.data.folder` finds.
        method: one of `published.METHODS` or of `verify.networks.scores.methods`, or "dense".
        density: share of the weights kept.
        classes: of the images.
        size: their height and width.
        samples: training images; 0 takes all.
        test: test images; 0 takes all.
        epochs: over the training images.
        batch: images a step.
        rate: of SGD with momentum 0.9.
        decay: of the weights.
        milestones: epochs after which the rate is divided by 10.
        rounds: of methods that iterate.
        scored_on: training images that the scores see.
        statistics: see `published.Mode`.
        temperature: likewise.
        absolute: likewise.
        draws: likewise.
        device: "cpu" or "cuda", for training; masks are made on the CPU.
        seed: of weights, images scored on and order.

    Returns:
        accuracy; loss of the last epoch; kept and total weights; emptied layers; memory: the most bytes that the device
        held, 0 on a CPU.

    Raises:
        DataError: the data set is not here.
        ValueError: a mode that the method does not have, or no GPU where one is asked for.
    """
    from verify.networks import zoo
    from verify.networks.scores.masks import counting_losses
    from verify.networks.scores.prune import prune

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} was asked for, and there is no GPU; use --scale small")
    module = zoo.build(network, seed=seed, classes=classes)
    x, y = _images(dataset, "train", samples, size)
    pick = torch.randperm(len(x), generator=stream("scored on", seed))[:scored_on]
    total = sum(p.numel() for p in module.parameters() if p.dim() > 1)
    mode = published.Mode(statistics, temperature, absolute, draws)
    masks: dict[str, Tensor] = {}
    if method in published.METHODS:
        once = 1 if method in cifar.ONE_SHOT else rounds
        masks = published.prune(module, method, mode, density, x[pick], y[pick], rounds=once, seed=seed)
    elif method != "dense":
        once = 1 if method in cifar.ONE_SHOT else rounds
        with counting_losses():
            found = prune(module, method, density=density, rounds=once, x=x[pick], y=y[pick], seed=seed, biases=False)
        masks = dict(found)
    recipe = ImageRecipe(epochs, batch, rate, decay=decay, milestones=tuple(milestones), shift=max(1, size // 8))
    history = train_module(module, masks, x, y, recipe, seed=seed, device=device)
    module.eval()
    xt, yt = _images(dataset, "test", test, size)
    with torch.no_grad():
        right = sum(
            int((module(a.to(device)).argmax(1).cpu() == b).sum())
            for a, b in zip(xt.split(500), yt.split(500), strict=True)
        )
    return {
        "accuracy": right / len(xt),
        "loss": history[-1],
        "kept": sum(int(m.sum()) for m in masks.values()) if masks else total,
        "total": total,
        "emptied": sum(not m.any() for m in masks.values()),
        "memory": int(torch.cuda.max_memory_allocated()) if device.startswith("cuda") else 0,
    }


# -- what it costs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """What is assumed of a GPU; none of it was measured here.

    Attributes:
        name: of the card.
        sustained: floating-point operations a second that these small networks reach in bfloat16.
        step: least seconds that an optimiser step takes, however small: the launches of its kernels.
        price: US dollars an hour.
    """

    name: str = "one H200-class GPU"
    sustained: float = 4e13
    step: float = 4e-3
    price: float = 4.0


@dataclass(frozen=True)
class Cost:
    """An estimate; scoring is left out, which takes minutes beside hours of training.

    Attributes:
        trials: training runs.
        operations: floating-point operations of all of them, a multiply-add counted as two.
        hours: on the card, one run after the other.
        memory: bytes of the largest run: weights, gradients, momentum, masks, and what backward needs, in float32.
        card: what was assumed.
    """

    trials: int
    operations: float
    hours: float
    memory: float
    card: Card

    def __str__(self) -> str:
        return (
            f"{self.trials} training runs, {self.operations:.2g} floating-point operations, at most "
            f"{self.memory / 2**30:.1f} GiB; on {self.card.name} about {self.hours:.1f} GPU hours and "
            f"{self.hours * self.card.price:.0f} US dollars (assumed, not measured: {self.card.sustained / 1e12:.0f} "
            f"TFLOP/s sustained, at least {1000 * self.card.step:g} ms a step, {self.card.price:g} dollars an hour)"
        )


IMAGES = {"cifar10": 50000, "cifar100": 50000}
"""Training images of a data set where all of them are asked for."""


def cost(wanted: Sequence[Configuration], card: Card = Card()) -> Cost:
    """What trials of `pruned_training` would cost; the networks are counted, not timed.

    Raises:
        ValueError: no trials.
    """
    if not wanted:
        raise ValueError("there are no trials whose cost could be estimated")
    operations = hours = memory = 0.0
    for c in wanted:
        forward, kept, weights = _counted(c["network"], c["classes"], c["size"])
        images = c["samples"] or IMAGES[c["dataset"]]
        steps = c["epochs"] * -(-images // c["batch"])
        # Backward takes twice what forward takes: products with the weights and with the inputs.
        run = 3.0 * forward * images * c["epochs"]
        operations += run
        hours += max(run / card.sustained, steps * card.step) / 3600
        memory = max(memory, 4.0 * (4 * weights + kept * c["batch"]))
    return Cost(len(wanted), operations, hours, memory, card)


@functools.cache
def _counted(network: str, classes: int, size: int) -> tuple[int, int, int]:
    """Operations of a forward pass of one image, numbers kept for backward an image, and parameters."""
    from torch.utils.flop_counter import FlopCounterMode

    from verify.networks import zoo

    module = zoo.build(network, classes=classes).train()
    x = torch.zeros(2, 3, size, size)
    seen: dict[int, int] = {}

    def keep(t: Tensor) -> Tensor:
        seen[t.untyped_storage().data_ptr()] = t.numel() if t.shape[:1] == (2,) else 0
        return t

    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        out = module(x)
    del out
    return counter.get_total_flops() // 2, sum(seen.values()) // 2, sum(p.numel() for p in module.parameters())


__all__ = ["PROTOCOLS", "Card", "Cost", "Protocol", "configurations", "cost", "protocol_named", "pruned_training"]
