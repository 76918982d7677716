"""Eight methods at four densities: accuracy, NTK trace, weights on live paths, and a plot.

``python docs/examples/compare_methods.py`` takes CIFAR-10 where `verify.data.folder` finds it, else the digits.
"""

import csv
import sys
import warnings

import matplotlib.pyplot as plt
from torch import nn

import verify
from verify.networks import zoo

METHODS = ("magnitude", "random", "snip", "grasp", "synflow", "synflow-l2", "px", "ntk-sap")
DENSITIES = (0.5, 0.2, 0.05, 0.01)


def network(channels: int) -> nn.Module:
    """ResNet-20 for three channels, a small network of the same kind for one."""
    if channels == 3:
        return zoo.build("resnet20")
    block = nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    stem = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
    module = nn.Sequential(*stem, *block, nn.Flatten(), nn.Linear(32, 10))
    zoo.initialise(module, 0)
    return module


def compare(name="cifar10", samples=5000, epochs=8, methods=METHODS, densities=DENSITIES, out="compare"):
    """A row for each method and density; also ``out``.csv and ``out``.png."""
    train = verify.data.load(name, split="train", samples=samples)
    (x, y), (xt, yt) = train.tensors(), verify.data.load(name, split="test").tensors(like=train)
    recipe = verify.ImageRecipe(epochs, 64, 0.05, milestones=(epochs * 2 // 3,), shift=x.shape[-1] // 8)
    rows = []
    for method in methods:
        for density in densities:
            module = network(x.shape[1])
            masks = verify.prune(module, method, density=density, x=x[:64], y=y[:64])
            masks.apply(module)
            trace, live = float(verify.ntk_trace(module, x[:16])), masks.live(module, x[:64])
            verify.train_module(module, masks, x, y, recipe)
            rows.append({"method": method, "density": density, "live": live, "trace": trace,
                         "accuracy": verify.evaluate(module, xt, yt)})  # fmt: skip
            print(rows[-1], flush=True)
    with open(f"{out}.csv", "w", newline="") as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.5), layout="constrained")
    for axes, quantity in zip(panels, ("accuracy", "trace", "live"), strict=True):
        for method in methods:
            own = [r for r in rows if r["method"] == method]
            axes.plot([r["density"] for r in own], [r[quantity] for r in own], marker=".", label=method)
        axes.set(
            xscale="log", xlabel="density", ylabel=quantity, yscale="linear" if quantity == "accuracy" else "symlog"
        )
    panels[0].legend(fontsize=7)
    figure.savefig(f"{out}.png", dpi=150)
    plt.close(figure)
    return rows


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # that a layer is lost is part of the answer
    compare("cifar10" if verify.data.available("cifar10") else "digits", *map(int, sys.argv[1:]))
