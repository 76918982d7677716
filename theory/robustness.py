r"""Closed-form ensembles for the laws of robustness, where the probability of memorising can be computed.

Inputs are Gaussian, $x \sim N(0, I_d / d)$ (isoperimetric with c = 1), labels are independent signs
(so $\sigma^2 = 1$), and training error at most $1 - \varepsilon$ needs correlation
$\frac1n \sum_i f(x_i) y_i \ge \varepsilon / 2$.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any, ClassVar

from flint import acb, arb, fmpq

from theory.instances import Instance, array
from theory.scalars import exact, exp, sqrt

REACH = 40
"""How far integrals over normal densities go: beyond it lies less than N times 10^-347."""
BEYOND = exp(-fmpq(REACH**2, 2))


def normal_cdf(t: Any) -> Any:
    """Phi(t) as a ball (arb or acb in, the same out)."""
    return (1 + (t / type(t)(2).sqrt()).erf()) / 2


def expected_maximum(count: int) -> arb:
    r"""E max of ``count`` >= 2 independent standard normals, as a ball: the integral of its tail.

    $\int_0^\infty (1 - \Phi(x)^N - \Phi(-x)^N)\,dx$: rigorous quadrature up to R = `REACH`, and a tail that lies
    between 0 and $N e^{-R^2/2}$.

    Raises:
        ValueError: ``count`` below 2.
    """
    if count < 2:
        raise ValueError(f"the maximum of at least 2 numbers; got {count}")
    body = acb.integral(lambda x, _: 1 - normal_cdf(x) ** count - normal_cdf(-x) ** count, 0, REACH)
    return body.real + arb(0).union(count * BEYOND)


def expected_maximum_by_density(count: int) -> arb:
    r"""The same from the density of the maximum, $\int x \, N \varphi(x) \Phi(x)^{N-1} dx$, without the tails."""
    density = acb.integral(lambda x, _: x * (-x * x / 2).exp() * normal_cdf(x) ** (count - 1), -REACH, REACH)
    return count * density.real / (2 * arb.pi()).sqrt()


def chance_of_large_mean(n: int, epsilon: Any) -> fmpq:
    """P((mean of n uniform signs)^2 >= epsilon), exactly."""
    far = sum(comb(n, j) for j in range(n + 1) if (n - 2 * j) ** 2 >= epsilon * n * n)
    return fmpq(far, 2**n)


def signs_with_sum(n: int) -> dict[int, int]:
    """Sum of n signs -> how many sequences of n signs have it, counted sign by sign."""
    ways = {0: 1}
    for i in range(1, n + 1):
        ways = {v: ways.get(v - 1, 0) + ways.get(v + 1, 0) for v in range(-i, i + 1)}
    return ways


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
            object.__setattr__(self, name, exact(getattr(self, name)))

    def valid(self) -> bool:
        """Whether the numbers are in range."""
        e, big = self.epsilon[()], self.lipschitz[()]
        return 1 <= self.directions <= self.dimension and self.samples >= 1 and 0 < e <= 1 and big > 0

    @property
    def threshold_squared(self) -> fmpq:
        """t^2 for t = eps sqrt(n d) / (2 L): the correlation eps/2 in units of its standard deviation L / sqrt(n d)."""
        return self.samples * self.dimension * (self.epsilon[()] / (2 * self.lipschitz[()])) ** 2

    def linear_success(self) -> arb:
        """P(some f_j has correlation >= eps/2) = 1 - Phi(t)^N."""
        one = arb(sqrt(self.threshold_squared / 2)).erfc() / 2
        return -(self.directions * (-one).log1p()).expm1()

    def linear_failure(self) -> arb:
        """P(every f_j has correlation < eps/2), from the normal density of the correlations."""
        half, precision = self.epsilon[()] / 2, self.samples * self.dimension / self.lipschitz[()] ** 2
        within = acb.integral(lambda x, _: (-(x**2) * arb(precision) / 2).exp(), 0, arb(half)).real
        return (fmpq(1, 2) + within * arb(precision / 2).sqrt() / arb.pi().sqrt()) ** self.directions

    def constant_success(self) -> fmpq:
        """P(a constant +-sqrt(eps) has training error <= 1 - eps)."""
        return chance_of_large_mean(self.samples, self.epsilon[()])


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


@dataclass(frozen=True, eq=False)
class FarComponents(Instance):
    """A mixture of 2^b components; functions constant on each (Lipschitz constant as small as they are far apart).

    Attributes:
        log_samples: n = 2^a.
        log_components: k = 2^b.
    """

    title: ClassVar[str] = "mixture of far components"
    stackable: ClassVar[bool] = False

    log_samples: int
    log_components: int

    def valid(self) -> bool:
        """Whether the exponents are small enough to evaluate."""
        return all(0 <= v <= 64 for v in (self.log_samples, self.log_components))

    def memorised_at_least(self) -> fmpq:
        """Lower bound on P(all samples fall into different components): 1 - n(n-1)/(2k)."""
        n = 2**self.log_samples
        return 1 - fmpq(n * (n - 1), 2 ** (self.log_components + 1))

    def literal_bound(self) -> Any:
        """4k exp(-n/8^3), which is the bound at eps = 1 for L = 0."""
        return 2 ** (self.log_components + 2) * exp(-fmpq(2**self.log_samples, 8**3))
