r"""Pruning as sketching (Bar & Giryes, arXiv 2305.17559).

A linear model with features $X \in R^{d \times n}$ (rows $X_i$) and weights $w$ predicts $X"w$. A mask
comes from $s$ independent draws $i_t \sim p$ with replacement, $m = \sum_t e_{i_t} / (s\,p_{i_t})$, and
the sketched prediction is $X"(w \odot m)$. Throughout: $a_i = \|X_i\|\,|w_i|$, $A = \sum_i a_i$,
$p^* = a/A$, $F = \|X\|_F$, $N_p(v)^2 = \sum_i \|X_i\|^2 v_i^2/p_i$ over the features with $p_i > 0$, and
$\mathrm{MSE}(p) = E\,\|X"w - X"(w \odot m)\|^2$.
"""

from theory.papers.sketching import (  # isort: skip (the sections of the paper, in its order)
    sampling, transfer, adversary, binary_mask, data_independence, synflow, sampling_or_top, experiments,
)  # fmt: skip

__all__ = [
    "adversary", "binary_mask", "data_independence", "experiments", "sampling", "sampling_or_top", "synflow",
    "transfer",
]  # fmt: skip
