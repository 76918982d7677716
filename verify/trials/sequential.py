"""Anytime-valid tests: decide while the data comes in, with a stated probability of error.

Every test is an *e-process*: a nonnegative process E_t that under the null hypothesis has E[E_T] <= 1 at
every stopping time T. By Ville's inequality P(E_t >= 1/alpha for some t) <= alpha, however often one
looks. Stopping early, going on, or looking at the data in between costs nothing; choosing the test after
seeing the data is not allowed.

"No effect" is never a failure to reject: it is a test against a margin (`equivalent`).

Sources: Ville 1939; Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting"
(JRSS B 2024) for the betting processes, here mixed over a fixed grid of bets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

BETS = tuple(float(b) for b in np.concatenate([2.0 ** -np.arange(6, 1, -1), [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]]))
"""The grid of bets l: small ones for small effects, large ones to decide fast."""


@dataclass(frozen=True)
class Test:
    """The state of a sequential test.

    Attributes:
        e_value: E at the moment of decision, or at the end of the data.
        decided: whether E reached 1/alpha: the null is rejected, wrongly with probability at most alpha.
        n: observations used (up to the decision, or all).
        alpha: the error probability.
        null: what was tested, in words.
    """

    __test__ = False  # not a pytest class

    e_value: float
    decided: bool
    n: int
    alpha: float
    null: str

    def __str__(self) -> str:
        state = "rejected" if self.decided else "not rejected"
        return f"{self.null}: {state} (e-value {self.e_value:.3g} after {self.n}, error probability {self.alpha:g})"


def _floats(values: Iterable[float], what: str) -> np.ndarray:
    out = np.asarray(list(values), dtype=float)
    if out.ndim != 1 or not np.isfinite(out).all():
        raise ValueError(f"{what} must be a list of finite numbers")
    return out


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is a probability of error strictly between 0 and 1, not {alpha}")


def _mixture(payoffs: np.ndarray) -> np.ndarray:
    """Log of the mean over bets l of prod_{i<=t} (1 + l payoff_i), for each t; shape (..., n)."""
    bets = np.asarray(BETS)
    logs = np.cumsum(np.log1p(bets[:, None] * payoffs[..., None, :]), axis=-1)
    top = logs.max(axis=-2, keepdims=True)
    return (top + np.log(np.mean(np.exp(logs - top), axis=-2, keepdims=True)))[..., 0, :]


def _stop(log_e: np.ndarray, alpha: float, null: str) -> Test:
    """Read an e-process off at its first crossing of 1/alpha."""
    if not len(log_e):
        return Test(1.0, False, 0, alpha, null)
    over = np.flatnonzero(log_e >= math.log(1 / alpha))
    at = int(over[0]) if len(over) else len(log_e) - 1
    return Test(math.exp(min(log_e[at], 700.0)), bool(len(over)), at + 1, alpha, null)


def paired_sign(differences: Iterable[float], alpha: float = 0.01, *, margin: float = 0.0) -> Test:
    """Are paired differences more often above ``margin`` than below?

    E_t = mean over l of prod_i (1 + l sign(D_i - margin)). Null hypothesis: given the past, each
    difference is above the margin at most as often as below it. A tie moves nothing.

    Raises:
        ValueError: differences that are not finite, or an alpha that is no probability.
    """
    _check_alpha(alpha)
    signs = np.sign(_floats(differences, "differences") - margin)
    return _stop(_mixture(signs), alpha, f"median difference <= {margin:g}")


def bounded_mean(
    values: Iterable[float],
    mean: float,
    *,
    alpha: float = 0.01,
    low: float = 0.0,
    high: float = 1.0,
    alternative: str = "greater",
) -> Test:
    """Is the mean of values in [low, high] greater (or less) than ``mean``? By betting.

    E_t = mean over l of prod_i (1 + l (x_i - mean)/(mean - low)). Null hypothesis: given the past, each
    value has mean at most (at least) ``mean``.

    Raises:
        ValueError: values outside [low, high], a mean outside (low, high), an unknown alternative.
    """
    _check_alpha(alpha)
    x = _floats(values, "values")
    if alternative not in ("greater", "less"):
        raise ValueError(f"alternative is 'greater' or 'less', not {alternative!r}")
    if not low < mean < high:
        raise ValueError(f"the mean tested must lie strictly between {low} and {high}, not {mean}")
    if len(x) and (x.min() < low or x.max() > high):
        raise ValueError(f"values must lie in [{low}, {high}]; found {x.min():g} to {x.max():g}")
    greater = alternative == "greater"
    payoffs = (x - mean) / (mean - low) if greater else (mean - x) / (high - mean)
    return _stop(_mixture(payoffs), alpha, f"mean {'<=' if greater else '>='} {mean:g}")


def equivalent(differences: Sequence[float], margin: float, alpha: float = 0.01) -> Test:
    """Is the median difference within (-margin, margin)? "No effect", as something that can be shown.

    Both one-sided nulls must be rejected; the e-value is the smaller one (an e-process for their union).

    Raises:
        ValueError: as `paired_sign`, or a margin that is not positive.
    """
    _check_alpha(alpha)
    if not margin > 0:
        raise ValueError(f"the margin must be positive, not {margin}")
    d = _floats(differences, "differences")
    low = np.minimum(_mixture(np.sign(d + margin)), _mixture(np.sign(margin - d)))
    return _stop(low, alpha, f"|median difference| >= {margin:g}")


def slopes(x: Sequence[float], replicates: Iterable[Sequence[float]]) -> np.ndarray:
    """The least-squares slope of each replicate y (one value for each x).

    Raises:
        ValueError: fewer than two different x, or a replicate of another length.
    """
    at = _floats(x, "x")
    y = np.asarray([_floats(r, "a replicate") for r in replicates], dtype=float).reshape(-1, len(at))
    centred = at - at.mean()
    if not (centred**2).sum() > 0:
        raise ValueError("a slope needs at least two different x")
    return y @ centred / (centred**2).sum()


def slope(
    x: Sequence[float],
    replicates: Iterable[Sequence[float]],
    value: float = 0.0,
    *,
    alpha: float = 0.01,
    alternative: str = "less",
) -> Test:
    """Is the slope of y on x below (above) ``value``? One independent replicate of the whole line at a time.

    Null hypothesis: the median of the replicates' least-squares slopes is at least (at most) ``value``.
    This needs no model of the noise, only that replicates do not depend on each other.

    Raises:
        ValueError: as `slopes`, or an unknown alternative.
    """
    if alternative not in ("greater", "less"):
        raise ValueError(f"alternative is 'greater' or 'less', not {alternative!r}")
    found = slopes(x, replicates)
    sign = 1.0 if alternative == "greater" else -1.0
    test = paired_sign(sign * (found - value), alpha)
    return Test(test.e_value, test.decided, test.n, alpha, f"slope {'<=' if sign > 0 else '>='} {value:g}")


def median_interval(values: Sequence[float], alpha: float = 0.01) -> tuple[float, float]:
    """A confidence interval of the median, valid at any stopping time: medians not rejected at alpha/2 a side.

    Returns:
        (low, high), infinite on a side where the data does not bound it yet.
    """
    _check_alpha(alpha)
    v = np.sort(_floats(values, "values"))
    inside = (v[1:] + v[:-1]) / 2
    candidates = np.concatenate([[-np.inf], inside, [np.inf]]) if len(v) else np.array([-np.inf, np.inf])
    low, high = -math.inf, math.inf
    order = _floats(values, "values")
    for c in candidates[1:-1]:
        if paired_sign(order, alpha / 2, margin=float(c)).decided:
            low = max(low, float(c))
        if paired_sign(-order, alpha / 2, margin=-float(c)).decided:
            high = min(high, float(c))
    return low, high


def mean_interval(
    values: Sequence[float], *, alpha: float = 0.01, low: float = 0.0, high: float = 1.0, grid: int = 400
) -> tuple[float, float]:
    """A confidence interval of the mean of bounded values, valid at any stopping time.

    Means on a grid that either one-sided test rejects at alpha/2 are left out; the interval is widened to
    the next grid point, so it errs on the safe side.
    """
    x = _floats(values, "values")
    points = np.linspace(low, high, grid + 1)[1:-1]
    above = [m for m in points if bounded_mean(x, float(m), alpha=alpha / 2, low=low, high=high).decided]
    below = [
        m for m in points if bounded_mean(x, float(m), alpha=alpha / 2, low=low, high=high, alternative="less").decided
    ]
    return (float(max(above)) if above else low, float(min(below)) if below else high)


def information_at_least(own: Sequence[float], foreign: Sequence[float], alpha: float = 0.01) -> float:
    """Bits of information that a mask has on the labels, at least; wrong with probability at most ``alpha``.

    ``own`` are memorised shares under the joint law of mask and labels, ``foreign`` under the product of its
    marginals (the same-law control). By data processing I >= kl(P(own > t) || P(foreign > t)) for every t. The
    threshold is chosen on the first half of the pairs and used on the second, with Clopper-Pearson limits at
    alpha/2 each. Not sequential: for a number of pairs fixed beforehand.

    Raises:
        ValueError: fewer than 4 pairs, lists of different lengths, or an alpha that is no probability.
    """
    _check_alpha(alpha)
    a, b = _floats(own, "own"), _floats(foreign, "foreign")
    if len(a) != len(b) or len(a) < 4:
        raise ValueError(f"at least 4 pairs are needed; got {len(a)} and {len(b)} values")
    half = len(a) // 2
    levels = np.unique(np.concatenate([a[:half], b[:half]]))
    threshold = max(levels, key=lambda t: abs((a[:half] > t).mean() - (b[:half] > t).mean()))
    n = len(a) - half
    low = _limits(int((a[half:] > threshold).sum()), n, alpha / 2)
    other = _limits(int((b[half:] > threshold).sum()), n, alpha / 2)
    # The two intervals' closest points; no information is certain where they meet.
    if low[0] > other[1]:
        return _kl_bits(low[0], other[1])
    return _kl_bits(low[1], other[0]) if low[1] < other[0] else 0.0


def _limits(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, error probability alpha in all."""
    from scipy.stats import beta

    low = float(beta.ppf(alpha / 2, hits, n - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(1 - alpha / 2, hits + 1, n - hits)) if hits < n else 1.0


def _kl_bits(p: float, q: float) -> float:
    return sum(a * math.log2(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def rejection_times(log_threshold: float, payoffs: np.ndarray) -> np.ndarray:
    """When each of many simulated processes crosses, or -1; payoffs (runs, n). For the benchmark."""
    crossed = _mixture(payoffs) >= log_threshold
    return np.where(crossed.any(axis=-1), crossed.argmax(axis=-1) + 1, -1)
