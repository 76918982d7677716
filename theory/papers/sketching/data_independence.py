"""When data does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import PROVED, Assumption, claim, hints
from theory.papers.sketching.assumptions import some_signal
from theory.papers.sources import SKETCHING
from theory.relations import Relation, all_of, at_most, equal, holds
from theory.scalars import absolute, sqrt, total
from theory.sketches import Sketch, column, normalised

SEED = SKETCHING.at("seed")


def _extreme_squares(i: Sketch) -> tuple[Any, Any]:
    """Largest and smallest |X_i|^2 over the support of w, each (...)."""
    support, r = np.asarray(i.w != 0), i.rows_squared
    high = np.where(support, r, 0 * r).max(axis=-1)
    return high, np.where(support, r, column(high)).min(axis=-1)


def _extreme_norms(i: Sketch) -> tuple[Any, Any]:
    """Largest and smallest |X_i| over the support of w, each (...)."""
    high, low = _extreme_squares(i)
    return sqrt(high), sqrt(low)


def _same_norm(i: Sketch) -> Any:
    high, low = _extreme_squares(i)
    return high == low


equal_norms = Assumption(
    "equal-norms",
    "|X_i| is the same for every i with w_i != 0",
    _same_norm,
    lambda c, i: i.with_(x=i.x * c.positives((i.d,))[..., None]),
)


@claim(Sketch, PROVED, SEED, assumes=(equal_norms, some_signal), by_definition="one factor cancels in p*")
@hints(rows="equal", q=False)
def data_independence(i: Sketch) -> Relation:
    r"""If all rows have the same norm, the optimal probabilities are proportional to the magnitudes.

    If $\|X_i\|$ is constant on the support of $w$ then $p^* = |w|/\|w\|_1$.

    Proof. The constant cancels in $a/A$.
    """
    return equal(i.optimal, normalised(absolute(i.w)))


@claim(Sketch, PROVED, SEED, assumes=(some_signal,))
@hints(q=False, rows="two norms")
def data_independence_rate(i: Sketch) -> Relation:
    r"""If the rows' norms are nearly equal, sampling by magnitude is nearly optimal.

    If $\|X_i\| \in [c(1-e), c(1+e)]$, $e < 1$, on the support of $w$, then
    $TV(p^*, |w|/\|w\|_1) \le (1 - \sqrt{1-e^2})/e$ and
    $\mathrm{MSE}(|w|/\|w\|_1) - \mathrm{MSE}(p^*) \le \frac{A^2}{s} \frac{e^2}{1-e^2}$. Checked with the
    smallest such $e$: with $M$ and $\mu$ the largest and smallest norm the bounds are
    $(\sqrt M - \sqrt \mu)/(\sqrt M + \sqrt \mu)$ and $\frac{A^2}{s}\frac{(M-\mu)^2}{4M\mu}$, the second multiplied by
    $4M\mu s$: with $\mu = 0$ they say nothing.

    Proof. $TV$ is $E|r - Er|/(2 Er)$ with $r = \|X_i\|$ under $|w|/\|w\|_1$, largest for two values, and
    then at mass $\sqrt\mu/(\sqrt M+\sqrt\mu)$ on $M$; the second is Kantorovich's inequality
    $E r^2 \le (Er)^2 (M+\mu)^2/(4M\mu)$, which leaves over the square of $(M+\mu) Er - 2M\mu$ and $4M\mu\,E
    (M-r)(r-\mu)$, all over $4M\mu$. For Gaussian $X$: $c = \sqrt n$ and
    $e = \sqrt{2\ln(2d/\eta)/n}$ with probability $1 - \eta$.
    """
    magnitude, best = normalised(absolute(i.w)), i.optimal
    (high, low), used = _extreme_norms(i), np.asarray(i.w != 0)
    tv = total(absolute(best - magnitude), axis=-1) / 2
    cost, most = 4 * high * low * i.s * (i.mse(magnitude) - i.mse(best)), i.a * i.a * (high - low) ** 2
    size, r = absolute(i.w), i.row_norms
    between = total(size * (column(high) - r) * (r - column(low)), axis=-1)
    rest = ((high + low) * i.a - 2 * high * low * total(size, axis=-1)) ** 2
    return all_of(
        at_most(tv, (high - low) / (sqrt(high) + sqrt(low)) ** 2, "total variation").when(low > 0),
        at_most(cost, most, "price"),
        equal(cost + rest + 4 * high * low * total(size, axis=-1) * between, most, "what the price leaves over"),
        *(holds((used & (i.rows_squared == column(r))).any(axis=-1), "on the support") for r in _extreme_squares(i)),
    )
