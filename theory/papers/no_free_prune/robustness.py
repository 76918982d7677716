"""Laws of robustness."""

from __future__ import annotations

from flint import arb, fmpq

from theory.claims import PROVED, REFUTED, claim
from theory.papers.sources import NO_FREE_PRUNE
from theory.relations import Relation, all_of, at_most, equal, nearly, nearly_equal
from theory.robustness import (
    BestDirection,
    FarComponents,
    LinearEnsemble,
    expected_maximum_by_density,
    signs_with_sum,
)
from theory.scalars import exp, log, sqrt, xlogx


@claim(
    LinearEnsemble,
    PROVED,
    NO_FREE_PRUNE.at("seed; after Bubeck & Sellke 2021; two classes with closed forms"),
    see="law-of-robustness-many-components",
    proof_gap="closed forms over integers with the error function and exponentials, beyond polynomials",
)
def law_of_robustness_finite(instance: LinearEnsemble) -> Relation:
    r"""In two classes with closed forms, it is unlikely that a smooth function fits below the noise level.

    For Gaussian inputs, labels $\pm 1$ ($\sigma^2 = 1$) and two classes: $P(\exists f \in F: \text{train MSE} \le
    \sigma^2 - \varepsilon) \le e^{-n\varepsilon^2/32} + 2 e^{-n\varepsilon^2/128} + |F| e^{-n\varepsilon^2 d / (64 K c
    L^2)}$ with $K = 1/2$, for $N$ linear functions of Lipschitz constant $L$ along orthonormal directions (unclipped:
    correlation at least $\varepsilon/2$ has probability $1 - \Phi(t)^N$, $t = \varepsilon\sqrt{nd}/(2L)$; balls), and
    without the last term for two constants ($L = 0$: a binomial tail). Decided is what is sharp for these classes, and
    less in both: $\frac t{1+t^2} \frac1{\sqrt{2\pi}} e^{-t^2/2} \le 1 - \Phi(t)^N \le \frac N2 e^{-t^2/2}$, which is
    half the last term with $K = 1/8$, and $2 e^{-n\,D}$ for two constants, with $D = \frac{1+s}2 \log(1+s) +
    \frac{1-s}2 \log(1-s) \ge \varepsilon/2$, $s = \sqrt\varepsilon$. Both chances are computed twice: the first also
    from the normal density of the correlations (to 40 bits), the second also by counting signs one by one.

    The theorem is about every finite class clipped to $[-1, 1]$ and one $c$-isoperimetric component, with
    $K = 3.3$ in general; that is not decided here, only its exponents and factors where a closed form is known.

    Proof of the theorem. Split $y$ into signal and noise and $f$ into mean and rest; Hoeffding for the first two
    terms, isoperimetry and a union bound for the third; the general $K$ is numerical. Of what is decided: a union bound
    and $1 - \Phi(t) \le e^{-t^2/2}/2$, with equality for one function as $t \to 0$; Gordon's bound from below, nearly
    reached for large $t$; Chernoff's bound, with equality at $\varepsilon = 1$; Pinsker's as $\varepsilon \to 0$.
    """
    n, square, epsilon = instance.samples, instance.threshold_squared, instance.epsilon[()]
    success, gaussian = instance.linear_success(), exp(-square / 2)
    s = sqrt(epsilon)
    divergence = (xlogx(1 + s) + xlogx(1 - s)) / 2
    ways = signs_with_sum(n)
    return all_of(
        at_most(success, instance.directions * gaussian / 2, "linear"),
        at_most(sqrt(square) * gaussian, success * (1 + square) * (2 * arb.pi()).sqrt(), "one direction"),
        nearly_equal(1 - success, instance.linear_failure(), "the normal density integrated"),
        at_most(instance.constant_success(), nearly(2 * exp(-n * divergence)), "constants"),
        at_most(epsilon, 2 * divergence, "exponent"),
        equal(
            instance.constant_success() * 2**n,
            sum(ways[v] for v in ways if v * v >= epsilon * n * n),
            "signs counted",
        ),
    )


@claim(FarComponents, REFUTED, NO_FREE_PRUNE.at("seed; the bound without a limit on k"), see="law-of-robustness-finite")
def law_of_robustness_many_components(instance: FarComponents) -> Relation:
    r"""The law of robustness holds for a mixture of any number of components.

    $P(\ldots) \le 4k e^{-n\varepsilon^2/8^3} + 2 |F| e^{-n\varepsilon^2 d/(10^4 c L^2)}$ for $k$ components. False
    without a limit on $k$: with far more than $n^2$ components, far apart, every sample has a component of its own,
    and functions that are constant on each component ($|F| = 2^k$, $\varepsilon = 1$) fit any labels as smoothly as
    one likes. The left side here is the lower bound $1 - n(n-1)/(2k)$, the right side what is left of the bound as the
    components move apart and $L \to 0$.
    """
    return at_most(instance.memorised_at_least(), instance.literal_bound())


@claim(
    BestDirection,
    PROVED,
    NO_FREE_PRUNE.at("seed; the step that brings in I(M; D), for one selection with a closed form"),
    slack="the constant 2 is approached only as log N grows: 1.365 is needed at N = 100, 1.712 at N = 10^6",
    proof_gap="an integral of powers of the error function for each integer, beyond polynomials",
)
def law_of_robustness_effective(instance: BestDirection) -> Relation:
    r"""Choosing the best of N directions correlates with the noise no more than its information allows.

    $(E \max_{j \le N} Z_j)^2 \le 2 I$ with $I = \log N$ and $Z_j$ independent standard normal: of $N$ orthonormal
    directions the mask keeps the one that correlates best with the labels. The constant that is needed for 2 is 1.37
    at $N = 100$ and 1.71 at $N = 10^6$ (balls, rigorous quadrature). It is never below $1/(\pi \log 2) = 0.459$, which
    is attained at $N = 2$ (Kamath). The expectation is computed twice, from the tail and from the density of the
    maximum; equalities are decided to 40 bits.

    It is the step of the law of robustness that brings in the information, where that step is nearly tight. The
    law, that $P(S) \ge 1/2 + \text{noise terms}$ implies $E \log(1 + |F_M|) + I(M; D) \ge n \varepsilon^2 d / (256 K c
    L^2)$ ($K$ numerical), so that the Lipschitz constant is at least of order $\varepsilon \sqrt{nd/p_{eff}}$, is not
    decided here.

    Proof. `decoupling` of the correlation with the noise, sub-Gaussian with variance $cL^2/(nd)$ for one function.
    """
    best, information = instance.correlation(), log(fmpq(instance.directions))
    square = best * best
    return all_of(
        at_most(square, 2 * information),
        at_most(information, nearly(square * arb.pi() * arb(2).log()), "lower bound"),
        nearly_equal(best, expected_maximum_by_density(instance.directions), "density of the maximum"),
    )
