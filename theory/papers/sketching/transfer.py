"""From initial to trained weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.papers.sketching.assumptions import never_first, some_signal
from theory.papers.sketching.sampling import chi_square
from theory.papers.sources import SKETCHING, ours
from theory.relations import Relation, all_of, at_most, equal
from theory.scalars import absolute, sqrt, total
from theory.sketches import MovingSketch, Transfer, column, inverse, squared

OURS = ours("beside the sketching paper")


def _first_removed(c: Any, i: Transfer) -> Transfer:
    return i.with_(w0=i.w0 * (np.arange(i.w0.shape[-1]) > 0))


used_weights_start_nonzero = Assumption(
    "used-weights-start-nonzero",
    "w0_i is not 0 wherever X_i w_i is not 0",
    lambda i: ((i.w0 != 0) | ~i.trained.used()).all(axis=-1),
    _first_removed,
)


initial_signal = Assumption(
    "initial-signal",
    "A0 > 0: some X_i w0_i is not 0, so that p0 exists",
    lambda i: i.initial.used().any(axis=-1),
    lambda c, i: i.with_(w0=i.w0 * 0),
)


trained_signal = Assumption(
    "trained-signal",
    "A* > 0: some X_i w_i is not 0, so that p*(w) exists",
    lambda i: i.trained.used().any(axis=-1),
    lambda c, i: i.with_(w=i.w * 0),
)


some_data = Assumption(
    "some-data",
    "F > 0, so that the data law exists",
    lambda i: i.initial.f_squared > 0,
    lambda c, i: i.with_(x=i.x * 0),
)


@claim(
    Transfer,
    REFUTED,
    SKETCHING.at("seed: an error bound proportional to 1/s that depends on |w* - w0|"),
    assumes=(used_weights_start_nonzero, initial_signal),
)
@hints(wide=40, constants=tuple(10**k for k in range(7)))
def transfer_literal(i: Transfer) -> Relation:
    r"""A mask drawn at initialisation has error O(1/s) on trained weights, bounded by how far they moved.

    With $p_0 \propto \|X_i\||w_{0,i}|$ and trained weights $w$:
    $\mathrm{MSE}_{p_0}(w) \le \frac{C}{s} F^2 (\|w_0\| + \|w - w_0\|)^2$ for a constant $C$.

    False for every $C$ (each instance brings its own, up to $10^6$): a weight that starts near 0 is
    almost never drawn, and when it has grown it is divided by its tiny probability. No finite
    $B(X, \|w_0\|, \|w - w_0\|)$ will do.
    """
    start, moved = sqrt(squared(i.w0)), sqrt(squared(i.change))
    bound = i.constant * i.initial.f_squared * (start + moved) ** 2 / i.s
    return at_most(i.trained.mse(i.initial.optimal), bound)


@claim(Transfer, PROVED, OURS, assumes=(used_weights_start_nonzero, trained_signal))
def transfer_identity(i: Transfer) -> Relation:
    r"""The excess error of the initial law on trained weights, in closed form.

    $\mathrm{MSE}_{p_0}(w) - \mathrm{MSE}_{p^*(w)}(w) = \frac{A_0^2}{s} \mathrm{Var}_{i \sim p_0}|w_i/w_{0,i}|
    = \frac{A_*^2}{s}\,\chi^2(p^*(w) \| p_0)$.

    Proof. $N_{p_0}(w)^2 = A_0^2\,E_{p_0} r^2$ with $r_i = |w_i/w_{0,i}|$, and $A_* = A_0\,E_{p_0} r$.
    """
    p0, best = i.initial.optimal, i.trained.optimal
    error, least = i.s * i.trained.mse(p0), i.s * i.trained.mse(best)
    a0, a = i.initial.a, i.trained.a
    return all_of(
        equal(error, least + a0 * a0 * i.ratio_variance(), "variance of the ratio"),
        equal(error, least + a * a * chi_square(best, p0), "chi-square"),
    )


@claim(Transfer, PROVED, OURS, assumes=(some_data,), repairs="transfer-literal")
@hints(weights="rational")
def transfer_data_norm(i: Transfer) -> Relation:
    r"""If features are drawn by data norm alone, the error is O(1/s), bounded by how far the weights moved.

    With $p_i = \|X_i\|^2/F^2$: $\mathrm{MSE}(w) = \frac1s (F^2\|w\|_X^2 - \|X'w\|^2)
    \le \frac1s (F^2 (\|w_0\|_X + \|w - w_0\|_X)^2 - \|X'w\|^2)$, where $\|w\|_X^2$ sums $w_i^2$ over the
    features with $X_i \ne 0$ (the others are never drawn and cost nothing). So
    $\mathrm{MSE}(w) \le \frac{F^2}{s} (\|w_0\| + \|w - w_0\|)^2$.

    Proof. $N_p(w)^2 = F^2\|w\|_X^2$, then the triangle inequality: equality where $w - w_0$ points along
    $w_0$.
    """
    second, f2 = i.second_moment(i.initial.data_law), i.initial.f_squared
    start, moved = i.norms()
    return all_of(
        equal(second, f2 * squared(i.seen(i.w)), "closed form"),
        at_most(second, f2 * (start + moved) ** 2, "bound"),
    )


@claim(Transfer, PROVED, OURS, assumes=(used_weights_start_nonzero, initial_signal))
@hints(weights="two ratios")
def transfer_relative(i: Transfer) -> Relation:
    r"""With the initial law, the error is bounded by the largest relative change of a weight.

    With $p_0$ and $\rho = \max |w_i - w_{0,i}|/|w_{0,i}|$ over the features with $X_i w_{0,i} \ne 0$, and
    $\lambda = \max(0, 1 - \rho)$: $\lambda A_0 \le A_* \le (1+\rho) A_0$, and what the initial law costs beyond
    the least error is at most $\frac1s ((1+\rho) A_0 - A_*)(A_* - \lambda A_0) \le A_0^2 \rho^2/s$. Hence
    $\mathrm{MSE}(w) \le \frac1s((1+\rho) A_0 A_* - \|X'w\|^2) \le \frac1s((1+\rho)^2 A_0^2 - \|X'w\|^2)$.

    Proof. The excess is $A_0^2 \mathrm{Var}\,r / s$ for $r_i = |w_i/w_{0,i}|$ under $p_0$, of mean
    $A_*/A_0$ and between $\lambda$ and $1 + \rho$: Bhatia and Davis, with $A_0^2\,E (1 + \rho - r)(r -
    \lambda)$ left over. Equality iff every $r_i$ is one of the two ends, whatever the mean: no bound by $A_0$, $A_*$
    and $\rho$ is smaller.
    """
    rho, a0, a = i.relative_change(), i.initial.a, i.trained.a
    low = (1 - rho + absolute(1 - rho)) / 2
    high = 1 + rho
    second = i.second_moment(i.initial.optimal)  # for the least error: A*^2
    excess, r = (high * a0 - a) * (a - low * a0), i.ratios
    between = total(i.initial.optimal * (column(high) - r) * (r - column(low)), axis=-1)
    return all_of(
        at_most(second, a * a + excess, "excess"),
        equal(second + a0 * a0 * between, a * a + excess, "what the excess leaves over"),
        at_most(a, high * a0, "A* by A0"),
        at_most(low * a0, a, "A* from below"),
        at_most(excess, a0 * a0 * rho * rho, "excess by A0"),
        equal(a * a + excess + low * a0 * (high * a0 - a), high * a0 * a, "second moment"),
    )


@claim(Transfer, PROVED, OURS, assumes=(initial_signal,), see="transfer-literal")
@hints(mix=True, wide=20)
def transfer_mixture(i: Transfer) -> Relation:
    r"""Mixing the initial law with the data law gives an error bounded by how far the weights moved.

    With $q = (1-l)\,p_0 + l\,p_{data}$, $p_{data} = \|X_i\|^2/F^2$, and $\|\cdot\|_X$ as in `transfer-data-norm`:
    $\mathrm{MSE}_q(w) \le \frac1s\left(\frac{A_0^2}{1-l} + \frac{F^2\|w-w_0\|_X^2}{l} - \|X'w\|^2\right)$. Stated
    multiplied by $l(1-l)$: with $l = 0$ or $1$ it says nothing.

    Proof. $(x+y)^2/(q+r) = x^2/q + y^2/r - (xr - yq)^2/(qr(q+r))$ for each feature, with $|w_{0,i}| + |w_i - w_{0,i}|
    \ge |w_i|$: what the bound leaves over is a sum of squares, and of what weights lose that move towards 0.
    Neither term can be smaller for any $l$: a feature that only $w_0$ has and one that only the change has,
    of very different norms, come as near as one likes.
    """
    share, a, moved = i.share(), i.initial.a, i.initial.f_squared * squared(i.seen(i.change))
    rest, laws = 1 - share, (i.initial.optimal, i.initial.data_law, i.mixture(share))
    error, bound = share * rest * i.second_moment(laws[2]), share * a * a + rest * moved
    steps = i.initial.row_norms * absolute(i.change)
    away = i.initial.amplitudes + steps
    lost = column(share * rest) * (away * away - i.trained.amplitudes * i.trained.amplitudes)
    apart = column(share * a) * laws[1] - column(rest) * steps
    left_over = total((lost + laws[0] * apart * apart * inverse(laws[1])) * inverse(laws[2]), axis=-1)
    return at_most(error, bound) & equal(error + left_over, bound, "what it leaves over").when(share > 0)


@claim(Transfer, PROVED, OURS, assumes=(initial_signal,))
@hints(mix=True, wide=20)
def transfer_best_mixture(i: Transfer) -> Relation:
    r"""The best share of the data law in the mixture, and the bound that it gives.

    With $u = A_0$, $v = F\|w - w_0\|_X$ and $l = v/(u+v)$ the bound of `transfer-mixture` is
    $\mathrm{MSE}_q(w) \le \frac1s\left((u + v)^2 - \|X'w\|^2\right)$, and no share gives a smaller one.

    Proof. $u^2/(1-l) + v^2/l \ge (u+v)^2$ by Cauchy-Schwarz, with equality at this $l$. Attained when all
    weights change away from 0, each in proportion to the norm of its row.
    """
    u, v, share = i.initial.a, sqrt(i.initial.f_squared * squared(i.seen(i.change))), i.share()
    best, rest = (u + v) ** 2, 1 - share
    return at_most(i.second_moment(i.mixture(v / (u + v))), best, "error") & equal(
        share * rest * best + (share * u - rest * v) ** 2, share * u * u + rest * v * v, "every share"
    )


seen_features_can_be_drawn = Assumption(
    "seen-features-can-be-drawn",
    "p_i > 0 wherever X_i is not 0",
    lambda i: ((i.p > 0) | (i.rows_squared == 0)).all(axis=-1),
    never_first,
)


@claim(MovingSketch, PROVED, OURS, assumes=(some_signal, seen_features_can_be_drawn), see="transfer-best-mixture")
def mixture_is_minimax(i: MovingSketch) -> Relation:
    r"""The mixture is minimax over all weights within a given distance of the initial ones.

    $\min_q \max_{\|w - w_0\|_X \le \delta} N_q(w)^2 = (A_0 + F\delta)^2$, attained by the mixture with the share
    $l = F\delta/(A_0 + F\delta)$ of the data law. Decided: the weights $w_{0,i} + \mathrm{sgn}(w_{0,i})\,
    \delta\|X_i\|/F$ are at distance $\delta$ and cost at least that much with every law $q$, and exactly that with
    the mixture; `transfer-best-mixture` says that no others at that distance cost the mixture more.

    Proof. $\sum_i b_i^2/q_i \ge (\sum_i b_i)^2$ with $b_i = \|X_i\|(|w_{0,i}| + \delta\|X_i\|/F)$, whose sum is
    $A_0 + F\delta$; and the mixture is $b$ divided by its sum.
    """
    worst, u, v = i.worst(), i.a, i.step * i.f_squared
    share, least = column(v / (u + v)), (u + v) ** 2
    mixture = (1 - share) * i.optimal + share * i.data_law
    return all_of(
        equal(squared(worst - i.w), i.step * i.step * i.f_squared, "distance"),
        at_most(least, i.weighted_norm(i.p, worst), "every law"),
        equal(i.weighted_norm(mixture, worst), least, "mixture"),
    )
