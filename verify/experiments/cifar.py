"""CIFAR-10 on a CPU: ResNet-20 on a class-balanced part of it, images averaged down, few epochs.

What is the papers' is the network (272,474 parameters, 270,896 of them prunable weights), the sparsities and the
methods; what is not is said by each trial's parameters: how many images, of what size, for how many epochs.
Its accuracies are far below the papers' and are comparable only with each other.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from verify.experiments.scores import SANITY, relabelled
from verify.trials import Trial, data, experiment
from verify.trials.streams import stream, stream_seed

PUBLISHED: tuple[dict[str, Any], ...] = (
    *({"method": m} for m in ("px", "px-released", "synflow", "synflow-l2")),
    {"method": "ntk-sap", "statistics": "held", "draws": 5},
    {"method": "snip"},
    {"method": "grasp", "statistics": "batch", "temperature": 200.0},
    *({"method": m} for m in ("magnitude", "random")),
)
"""Each method as it was published.

Not "px-frozen": its activation is that of the dense network, the same for every output where the last layer is dense,
so its masks are those of "synflow-l2"."""
MODES: tuple[dict[str, Any], ...] = (
    *({"method": m} for m in ("ntk-sap", "grasp")),
    {"method": "snip", "statistics": "batch"},
    {"method": "grasp", "statistics": "batch", "temperature": 200.0, "absolute": True},
)
"""Other modes: stored statistics, which normalise nothing before training, against the batch's; GraSP's size."""
ARMS = (*PUBLISHED, *MODES)
DENSITIES = (0.02, 0.0688, 0.005)
"""In the order in which they are run. The second is the sparsity of the Path eXclusion paper's headline, 93.12 %."""
CHECKED = ("magnitude", "snip", "grasp", "synflow", "px")
"""Methods whose masks are put to the literature's sanity checks, in their published modes, at the first density."""
ONE_SHOT = ("snip", "grasp", "magnitude", "random")
LABELLED = ("snip", "grasp")
"""Methods whose scores see labels."""
SEEDS = {"smoke": 1, "small": 10, "full": 10}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"samples": 500, "test": 500, "size": 8, "epochs": 2},
    "small": {"samples": 2000, "test": 2000, "size": 8, "epochs": 4},
    "full": {"samples": 50000, "test": 10000, "size": 32, "epochs": 30, "rounds": 100},
}


@functools.cache
def images(split: str, samples: int, size: int) -> tuple[Tensor, Tensor]:
    """A class-balanced part of CIFAR-10, (samples, 3, size, size) normalised by channel, and the classes.

    The same part for every seed. ``size`` below 32 averages over squares of pixels.

    Raises:
        DataError: the data set is not where `verify.trials.data.folder` looks.
        ValueError: a size that does not divide 32.
    """
    if size < 1 or 32 % size:
        raise ValueError(f"size divides 32; got {size}")
    found = data.load("cifar10", data_dir=data.folder("cifar10"), split=split, samples=samples, seed=0)
    x = functional.avg_pool2d(torch.tensor(found.x, dtype=torch.float32), 32 // size)
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    return (x - mean[:, None, None]) / std[:, None, None], torch.tensor(found.y)


@experiment
def resnet20(
    method: str, density: float, *, samples: int = 5000, test: int = 2000, size: int = 16, epochs: int = 8,
    rounds: int = 30, scored_on: int = 64, statistics: str = "evaluation", temperature: float = 1.0,
    absolute: bool = False, draws: int = 0, sanity: str = "none", seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Prune ResNet-20 at initialisation, train it, and measure its test accuracy.

    SGD with momentum 0.9, weight decay 1e-4, batches of 64, rate 0.05 and a tenth of it in the last third of the
    epochs; flips and shifts by up to size/8 pixels. Methods that iterate take ``rounds`` exponential rounds; one
    global ranking.

    Args:
        method: one of those in `ARMS`, or "dense".
        density: share of the weights kept (all of them for "dense").
        samples: training images.
        test: test images.
        size: their height and width.
        epochs: over the training images.
        rounds: of iterative methods.
        scored_on: training images that the scores see, in one batch.
        statistics: of normalisations while scoring, "evaluation" (stored), "batch" or "held"; `published.METHODS` only.
        temperature: what the outputs are divided by while scoring; likewise.
        absolute: rank by the score's absolute value; likewise.
        draws: of fresh weights to score; NTK-SAP only. See `published.Mode`.
        sanity: "none", or a check of the literature: see `verify.experiments.scores.pruned`.
        seed: of the initial weights, the images scored on, and the order in training.

    Returns:
        accuracy; loss of the last epoch; kept and total weights; layers emptied; classes_lost: those whose row of
        the last layer lost all its weights; constant: whether the pruned
        network's outputs are the same for all images that it was scored on.

    Raises:
        ValueError: a mode that the method does not have, an unknown check, or labels permuted for a method without.
    """
    from verify.experiments import published
    from verify.networks import zoo
    from verify.networks.scores import methods
    from verify.networks.scores.masks import counting_losses
    from verify.networks.scores.prune import prune
    from verify.trials.training import ImageRecipe, train_module

    mode = published.Mode(statistics, temperature, absolute, draws)
    if mode != published.Mode("evaluation") and method not in published.METHODS:
        raise ValueError(f"{method} is scored with {scoring({'method': method})}, in one way only; not with {mode}")
    module = zoo.build("resnet20", seed=seed)
    x, y = images("train", samples, size)
    pick = torch.randperm(len(x), generator=stream("scored on", seed))[:scored_on]
    xs, ys = x[pick], y[pick]
    if sanity not in SANITY:
        raise ValueError(f"sanity is {', '.join(SANITY)}, not {sanity!r}")
    if sanity == "relabel":
        if method not in LABELLED:
            raise ValueError(f"{method} sees no labels: there are none to permute")
        ys = relabelled(ys, seed)
    masks: dict[str, Tensor] = {}
    constant, emptied, lost, kept = False, 0, 0, sum(p.numel() for p in module.parameters() if p.dim() > 1)
    total = kept
    if method != "dense":
        rounds = 1 if method in ONE_SHOT else rounds
        upside = sanity == "invert"
        if method in published.METHODS:
            masks = published.prune(module, method, mode, density, xs, ys, rounds=rounds, seed=seed, invert=upside)
        elif upside:

            def score(masks: Mapping[str, Tensor], r: int) -> dict[str, Tensor]:
                return methods.scores(module, method, xs, ys, masks=masks, seed=seed, biases=False).values

            masks = published.prune_by(module, score, density, rounds=rounds, invert=True)
        else:
            with counting_losses():
                found = prune(module, method, density=density, rounds=rounds, x=xs, y=ys, seed=seed, biases=False)
            masks = dict(found)
        if sanity == "shuffle":
            g = stream("shuffle", seed)
            masks = {n: m.flatten()[torch.randperm(m.numel(), generator=g)].view(m.shape) for n, m in masks.items()}
        if sanity == "reinitialise":
            module = zoo.build("resnet20", seed=stream_seed("fresh weights", seed))
        kept = sum(int(m.sum()) for m in masks.values())
        lost = int((~masks["fc.weight"]).all(1).sum())
        emptied, constant = sum(not m.any() for m in masks.values()), methods.constant_on(module, xs, masks)
    recipe = ImageRecipe(epochs, 64, 0.05, milestones=(epochs * 2 // 3,), shift=size // 8)
    history = train_module(module, masks, x, y, recipe, seed=seed)
    module.eval()
    xt, yt = images("test", test, size)
    with torch.no_grad():
        right = sum(int((module(a).argmax(1) == b).sum()) for a, b in zip(xt.split(250), yt.split(250), strict=True))
    return {
        "accuracy": right / len(xt),
        "loss": history[-1],
        "kept": kept,
        "total": total,
        "emptied": emptied,
        "classes_lost": lost,
        "constant": bool(constant),
    }


def configurations(scale: str) -> list[dict[str, Any]]:
    """Every method at every density, seed by seed, so that what is finished early is a whole study of fewer seeds.

    Below "full" the first density alone.
    """
    densities = DENSITIES if scale == "full" else DENSITIES[:1]
    arms = [{"method": "dense", "density": 1.0}, *({**arm, "density": d} for d in densities for arm in ARMS)]
    return [resnet20.configuration(**arm, seed=s, **SIZES[scale]) for s in range(SEEDS[scale]) for arm in arms]


def sanity_configurations(scale: str) -> list[dict[str, Any]]:
    """The methods in `CHECKED` as they are, and under every check that applies to them, seed by seed."""
    arms = [arm for arm in PUBLISHED if arm["method"] in CHECKED]
    return [
        resnet20.configuration(**arm, density=DENSITIES[0], sanity=check, seed=s, **SIZES[scale])
        for s in range(SEEDS[scale])
        for arm in arms
        for check in SANITY
        if check != "relabel" or arm["method"] in LABELLED
    ]


def scoring(trial: Mapping[str, Any] | Trial) -> str:
    """In which mode a trial's weights were scored, in words; "" for methods that run no forward pass."""
    from verify.experiments import published

    def of(name: str, default: Any) -> Any:
        try:
            return trial[name]
        except KeyError:
            return default

    if trial["method"] in ("dense", "random", "magnitude"):
        return ""
    if trial["method"] == "px-released":
        return "batch statistics"
    settings = (("statistics", "evaluation"), ("temperature", 1.0), ("absolute", False), ("draws", 0))
    return str(published.Mode(*(of(name, default) for name, default in settings)))
