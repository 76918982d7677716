"""One figure a finding; the captions say how many runs a mark stands for. `plots` draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from figures.style import label
from verify.studies.findings import plots
from verify.studies.findings.model import Numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Chart:
    """A figure of the page.

    Attributes:
        draw: numbers -> the figure.
        alt: what it shows, for those who cannot see it.
        caption: numbers -> what the marks are, with the numbers of runs and seeds.
    """

    draw: Callable[[Numbers], Figure]
    alt: str
    caption: Callable[[Numbers], str]


def _seeds(n: Numbers, table: str, **where: object) -> int:
    return len(set(n.all(table, "seed", **where)))


CHARTS: dict[str, Chart] = {
    "positive-scores-do-not-prevent-layer-collapse": Chart(
        plots.layers,
        "Six heat maps, one a method: the share of each of the 22 layers of ResNet-20 that is kept, at four densities.",
        lambda n: (
            f"ResNet-20, {_seeds(n, 'collapse_resnet20')} seeds, 100 rounds, one square a layer: the median share of "
            "its weights that is kept. A white cross: the layer is empty in at least one run. A red cross above a "
            "column: in at least one run no path from input to output is left. *crit.*: as many weights as one path "
            "has."
        ),
    ),
    "px-leaves-the-theorem": Chart(
        plots.dead,
        "The number of dead networks against the weights kept, for seven ways to prune.",
        lambda n: (
            f"{n.one('scorers_small', 'networks', scorer='px', keep=3, guarded=False)} perceptrons 3-4-4-2 with "
            "Gaussian weights, eight Gaussian inputs, one weight removed a round, decided in exact arithmetic. *Dead*: "
            "on none of the eight inputs is a path left whose ReLUs are all on, so outputs and scores are 0."
        ),
    ),
    "px-data-enters-through-k-numbers": Chart(
        plots.shared,
        "How much of PX's mask is common with PX on other images, with SynFlow-L2, and by chance, against density.",
        lambda n: (
            f"One mark a seed: {_seeds(n, 'findings_data_overlap', network='resnet20')} for ResNet-20, "
            f"{_seeds(n, 'findings_data_overlap', network='vgg16_bn')} for VGG-16-BN. *Chance*: two random masks of "
            "this density."
        ),
    ),
    "px-gives-up-outputs": Chart(
        plots.lost_outputs,
        "Outputs without a path against density, for PX and SynFlow-L2, on perceptrons and on ResNet-20.",
        lambda n: (
            "Left: perceptrons 64-64-64-10 on the digits, one mark a seed, which is the mean of "
            f"{n.all('findings_outputs_lost_small', 'networks', method='px')[0]} networks. Right: ResNet-20 with "
            f"Gaussian images, one mark a seed. {_seeds(n, 'findings_outputs_lost')} seeds each."
        ),
    ),
    "one-output-the-trace-can-go": Chart(
        plots.traces,
        "The share of the trace that is left, for eight scores, on a logarithmic axis.",
        lambda n: (
            f"ResNet-20 at initialisation with 10 % of its weights, one dot a seed ({_seeds(n, 'scorers_kernel')}), "
            "bars are medians. Trace on four Gaussian images that the score has not seen. GraSP, which is made to "
            "raise the gradient's norm, lies at about 10^17 and is left out."
        ),
    ),
    "bound-and-trace": Chart(
        plots.decades,
        "Trace, objective and two bounds of ResNet-20 and VGG-16-BN in decades.",
        lambda n: (
            "Dense networks at initialisation, one Gaussian image, float64; one dot a seed "
            f"({_seeds(n, 'findings_path_quantities', dtype='float64')}), which lie on top of each other."
        ),
    ),
    "released-px-score-under-batch-normalisation": Chart(
        plots.rounding,
        "The largest released score of a ResNet-20 against the bits of the arithmetic: it falls like 2 to minus bits.",
        lambda n: (
            "ResNet-20 of width 16 and of width 2, one seed, on images of ones. 24, 53 and 64 bits are float32, "
            "float64 and x87 extended; from 256 bits on the scores are intervals that contain 0, and what is shown is "
            "the largest end of one. Hollow: normalisation by stored statistics instead of the batch's."
        ),
    ),
    "synflow-is-not-the-sketch-on-deep-networks": Chart(
        plots.correlations,
        "Rank correlations of SynFlow and SynFlow-L2 with the sketch weight, without and with averaging over signs.",
        lambda n: (
            "Over all weights, at initialisation, Gaussian images. One mark a seed: "
            f"{_seeds(n, 'findings_synflow', network='resnet20')} for ResNet-20, "
            f"{_seeds(n, 'findings_synflow', network='vgg16_bn')} for VGG-16-BN."
        ),
    ),
    "no-transfer-by-distance-alone": Chart(
        plots.transfer,
        "Error of the sketch on trained weights, when masks are drawn by the initial weights and by data norms.",
        lambda n: (
            f"A linear model on {n.one('findings_transfer', 'samples')} digits, trained from "
            f"{n.one('findings_transfer', 'starts')} Gaussian starts (one seed). The least possible error is that of "
            "the optimal law for the trained weights."
        ),
    ),
    "information-is-necessary-not-sufficient": Chart(
        plots.gains,
        "Gain in training accuracy by masks that know the labels over masks that do not, for five methods.",
        lambda n: (
            "Perceptrons 16-32-32-1 with random labels. One dot a seed, the mean of 16 pairs of networks; bars are "
            "medians. "
            + ", ".join(f"{label(m)} {_seeds(n, 'findings_same_law', method=m)}" for m in plots.LAWS)
            + " seeds. Each pair: a mask made from the labels that are then learnt, and one made in the same way from "
            "fresh labels."
        ),
    ),
    "float32-ranges": Chart(
        plots.ranges,
        "Bars from the smallest to the largest score of three networks and three methods, with the limits of float32.",
        lambda n: (
            "Scores of the dense networks that are not 0, on "
            f"{n.all('float32_ranges', 'samples')[0]} images (one seed), in float64. A bar that crosses a dashed line "
            "leaves float32 there. Rescaling by powers of two changes no ranking."
        ),
    ),
    "scorers-with-a-guarantee": Chart(
        plots.guarantees,
        "Above: dead networks by score. Below: accuracy after training against the share of the trace that is left.",
        lambda n: (
            "Above: the perceptrons of finding 2, decided exactly. Below: ResNet-20; trace at 1.8 % of the weights "
            f"(median of {_seeds(n, 'scorers_kernel')} seeds), accuracy with 2 % of them after "
            f"{n.all('findings_trained', 'epochs')[0]} epochs on {n.all('findings_trained', 'samples')[0]} CIFAR-10 "
            "images of 8 x 8 pixels: small dots are seeds "
            f"({_seeds(n, 'findings_trained')}), large ones their means."
        ),
    ),
}
"""Finding -> its figure."""
