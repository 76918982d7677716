r"""Closed-form ensembles for the laws of robustness, where the probability of memorising can be computed.

Inputs are Gaussian, $x \sim N(0, I_d / d)$ (isoperimetric with c = 1), labels are independent signs
(so $\sigma^2 = 1$), and training error at most $1 - \varepsilon$ needs correlation
$\frac1n \sum_i f(x_i) y_i \ge \varepsilon / 2$.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any, ClassVar

import numpy as np
from flint import acb, arb, fmpq

from theory.instances import Instance, array
from theory.scalars import exp, log, rational, sqrt


def normal_cdf(t: Any) -> Any:
    """Phi(t) as a ball (arb or acb in, the same out)."""
    return (1 + (t / type(t)(2).sqrt()).erf()) / 2


def expected_maximum(count: int) -> arb:
    r"""E max of ``count`` >= 2 independent standard normals, as a ball.

    $\int_0^\infty (1 - \Phi(x)^N - \Phi(-x)^N)\,dx$: rigorous quadrature up to R, and a tail that lies between 0 and
    $N \varphi(R) / R^2$.

    Raises:
        ValueError: ``count`` below 2.
    """
    if count < 2:
        raise ValueError(f"the maximum of at least 2 numbers; got {count}")
    end = 14 + count.bit_length()
    body = acb.integral(lambda x, _: 1 - normal_cdf(x) ** count - normal_cdf(-x) ** count, 0, end)
    tail = count * (-(arb(end) ** 2) / 2).exp() / ((2 * arb.pi()).sqrt() * end**2)
    return body.real + arb(0).union(tail)


def chance_of_large_mean(n: int, epsilon: Any) -> fmpq:
    """P((mean of n uniform signs)^2 >= epsilon), exactly."""
    far = sum(comb(n, j) for j in range(n + 1) if (n - 2 * j) ** 2 >= epsilon * n * n)
    return fmpq(far, 2**n)


@dataclass(frozen=True, eq=False)
class LinearEnsemble(Instance):
    """N orthonormal directions, f_j(x) = L u_j . x, and two constant functions.

    Attributes:
        samples: n.
        dimension: d.
        directions: N, at most d.
        epsilon: in (0, 1].
        lipschitz: L > 0.
    """

    title: ClassVar[str] = "linear functions on Gaussian inputs"
    stackable: ClassVar[bool] = False

    samples: int
    dimension: int
    directions: int
    epsilon: Any = array(0)
    lipschitz: Any = array(0)

    def __post_init__(self) -> None:
        for name in ("epsilon", "lipschitz"):
            object.__setattr__(self, name, np.asarray(getattr(self, name)))

    def valid(self) -> bool:
        """Whether the numbers are in range."""
        e, big = _scalar(self.epsilon), _scalar(self.lipschitz)
        return 1 <= self.directions <= self.dimension and self.samples >= 1 and 0 < e <= 1 and big > 0

    @property
    def rate(self) -> fmpq:
        """The exponent n eps^2."""
        return _scalar(self.epsilon) ** 2 * self.samples

    @property
    def scaled(self) -> fmpq:
        """The square of t = eps sqrt(n d) / (2 L)."""
        return self.rate * self.dimension / (4 * _scalar(self.lipschitz) ** 2)

    def linear_success(self) -> Any:
        """P(some f_j has correlation >= eps/2) = 1 - Phi(t)^N."""
        return 1 - normal_cdf(arb(sqrt(self.scaled))) ** self.directions

    def constant_success(self) -> fmpq:
        """P(a constant +-sqrt(eps) has training error <= 1 - eps)."""
        return chance_of_large_mean(self.samples, _scalar(self.epsilon))

    def noise_terms(self) -> Any:
        """exp(-n eps^2/32) + 2 exp(-n eps^2/128)."""
        return exp(-self.rate / 32) + 2 * exp(-self.rate / 128)

    def class_term(self, constant: Any) -> Any:
        """N exp(-n eps^2 d / (64 K c L^2)) with K = ``constant``, c = 1."""
        return self.directions * exp(-self.scaled / (16 * constant))


@dataclass(frozen=True, eq=False)
class BestDirection(Instance):
    """Of N orthonormal directions the mask keeps the one that correlates best with the labels."""

    title: ClassVar[str] = "selection among directions"
    stackable: ClassVar[bool] = False

    directions: int

    def valid(self) -> bool:
        """Whether there is a choice."""
        return self.directions >= 2

    def correlation(self) -> arb:
        """E correlation of the selected direction, in units of its standard deviation (L / sqrt(n d))."""
        return expected_maximum(self.directions)

    def information(self) -> Any:
        """I(M; D) = log N: the mask is determined by the data and uniform by symmetry."""
        return log(fmpq(self.directions))


@dataclass(frozen=True, eq=False)
class FarComponents(Instance):
    """A mixture of 2^b components, far apart; functions constant on each (Lipschitz constant as small as they are far).

    Attributes:
        log_samples: n = 2^a.
        log_components: k = 2^b.
        log_separation: d (distance)^2 / c = 2^s.
    """

    title: ClassVar[str] = "mixture of far components"
    stackable: ClassVar[bool] = False

    log_samples: int
    log_components: int
    log_separation: int

    def valid(self) -> bool:
        """Whether the exponents are small enough to evaluate."""
        return all(0 <= v <= 64 for v in (self.log_samples, self.log_components, self.log_separation))

    def memorised_at_least(self) -> fmpq:
        """Lower bound on P(all samples fall into different components): 1 - n(n-1)/(2k)."""
        n = 2**self.log_samples
        return 1 - fmpq(n * (n - 1), 2 ** (self.log_components + 1))

    def literal_bound(self) -> Any:
        """4k exp(-n/8^3) + 2 |F| exp(-n d / (10^4 c L^2)) at eps = 1, |F| = 2^k, L = 2 / distance."""
        n, k = fmpq(2**self.log_samples), fmpq(2**self.log_components)
        class_term = 2 * (k * arb(2).log() - n * 2**self.log_separation / 40000).exp()
        return 4 * k * exp(-n / 512) + class_term


def _scalar(value: Any) -> fmpq:
    return rational(value.item() if hasattr(value, "item") else value)
