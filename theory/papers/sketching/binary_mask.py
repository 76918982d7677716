"""The mask that practice uses."""

from __future__ import annotations

from theory.claims import PROVED, REFUTED, claim, hints
from theory.papers.sketching.assumptions import some_signal
from theory.papers.sources import SKETCHING, ours
from theory.relations import Relation, equal
from theory.scalars import indicator
from theory.sketches import Sketch

SEED = SKETCHING.at("seed")
OURS = ours("beside the sketching paper")


@claim(Sketch, PROVED, OURS, repairs="binary-mask-is-the-sketch")
def binary_mask_error(i: Sketch) -> Relation:
    r"""Bias and mean squared error of the unscaled 0/1 mask that is used in practice.

    For $b = [m > 0]$: $E\,X'(w \odot b) - X'w = -\sum_i X_i w_i (1-p_i)^s$ and
    $E\,\|X'w - X'(w \odot b)\|^2 = \sum_{ij} \langle X_i, X_j\rangle w_i w_j q_{ij}$ with
    $q_{ii} = (1-p_i)^s$, $q_{ij} = (1-p_i-p_j)^s$. The left sides by enumeration.

    Proof. $q_{ij}$ is the probability that no draw is $i$ or $j$.
    """
    chance, masks = i.enumerate(i.p)
    _, predicted, error = i.expected(i.p, indicator(masks != 0, i.p), chance)
    return equal(predicted - i.prediction(i.w), i.binary_bias(i.p), "bias") & equal(error, i.binary_mse(i.p), "error")


@claim(Sketch, REFUTED, SEED, assumes=(some_signal,))
@hints(q=False)
def binary_mask_is_the_sketch(i: Sketch) -> Relation:
    r"""The unscaled 0/1 mask of practice has the same error as the sketch.

    $E\,\|X'w - X'(w \odot b)\|^2 = \mathrm{MSE}(p^*)$ for $b = [m > 0]$ drawn from $p^*$. False: the
    unscaled mask is biased, and its error falls geometrically in $s$, not like $1/s$.
    """
    return equal(i.binary_mse(i.optimal), i.mse(i.optimal))
