"""What the trace is for: gradient descent with a fixed kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, claim
from theory.descent import KernelDescent
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.relations import Relation, all_of, at_most, equal, less
from theory.scalars import Array, absolute, indicator, total


@claim(KernelDescent, REFUTED, PATH_EXCLUSION.at("premise of the method (seed)"))
def larger_trace_trains_faster(instance: KernelDescent) -> Relation:
    r"""Of two kernels, the one with the larger trace has the smaller residual after every step.

    False: $\mathrm{diag}(4, 0)$ against the identity with residual $(0, 1)$; with large steps even in one dimension.
    """
    larger = np.asarray(total(instance.larger, axis=-1) > total(instance.smaller, axis=-1), dtype=bool)
    return at_most(instance.after(instance.larger), instance.after(instance.smaller)).when(larger)


@claim(KernelDescent, PROVED, ours("gradient descent on a quadratic"), see="residual-decay")
def residual_decay_at_any_step(instance: KernelDescent) -> Relation:
    r"""For any step size, the residual falls at the rate of the worse of the two extreme eigenvalues.

    $|r_t| \le \max(|1 - \eta\lambda_{min}|, |1 - \eta\lambda_{max}|)^t\, |r_0|$, attained by a residual along that
    eigenvector. For small steps the maximum is $1 - \eta\lambda_{min}$, as in `residual-decay`.

    Proof. $|1 - \eta\lambda|$ is convex in $\lambda$.
    """
    slowest, fastest = _along(instance, instance.slowest()), _along(instance, instance.fastest())
    bound = np.where(np.asarray(slowest >= fastest, dtype=bool), slowest, fastest)
    return all_of(
        at_most(instance.after(instance.larger), bound),
        _attained(instance, instance.slowest(), "smallest eigenvalue"),
        _attained(instance, instance.fastest(), "largest eigenvalue"),
    )


def _along(instance: KernelDescent, eigenvalue: Array) -> Array:
    """What |r_t|^2 would be if the whole residual stood along one eigenvalue, (...)."""
    factor = (1 - np.asarray(instance.eta) * eigenvalue) ** (2 * instance.steps)
    return np.asarray(factor * total(instance.residual**2, axis=-1))


def _attained(instance: KernelDescent, eigenvalue: Array, name: str) -> Relation:
    """What of the residual does stand along that eigenvalue falls so."""
    along = indicator(np.asarray(instance.larger == np.asarray(eigenvalue)[..., None]), instance.residual)
    alone = instance.with_(residual=instance.residual * along)
    return equal(alone.after(instance.larger), _along(alone, eigenvalue), name)


def _too_large(c: Any, instance: KernelDescent) -> KernelDescent:
    return instance.with_(eta=np.asarray(instance.eta * 0 + 4))


small_steps = Assumption(
    "small-steps", "eta <= 2 / (lambda_min + lambda_max)",
    lambda i: np.asarray(i.eta * (i.slowest() + i.fastest()) <= 2, dtype=bool), _too_large,
)  # fmt: skip


@claim(
    KernelDescent,
    PROVED,
    ours("gradient descent on a quadratic"),
    assumes=(small_steps,),
    repairs="larger-trace-trains-faster",
)
def residual_decay(instance: KernelDescent) -> Relation:
    r"""For small steps, the residual falls at least at the rate of the smallest eigenvalue.

    $|r_t| \le (1 - \eta\lambda_{min})^t |r_0|$ if $\eta \le 2/(\lambda_{min} + \lambda_{max})$, with equality along the
    smallest eigenvalue.

    Proof. $|1 - \eta\lambda| \le 1 - \eta\lambda_{min}$ for every eigenvalue exactly then.
    """
    bound, slowest = _along(instance, instance.slowest()), instance.slowest()
    return at_most(instance.after(instance.larger), bound) & _attained(instance, slowest, "attained")


large_steps = Assumption(
    "large-steps", "eta > 2 / (lambda_min + lambda_max)",
    lambda i: np.asarray(i.eta * (i.slowest() + i.fastest()) > 2, dtype=bool),
    lambda c, i: i.with_(eta=np.asarray(1 / (1 + i.slowest() + i.fastest()))),
)  # fmt: skip


@claim(KernelDescent, PROVED, ours("gradient descent on a quadratic"), assumes=(large_steps,), see="residual-decay")
def residual_decay_only_if(instance: KernelDescent) -> Relation:
    r"""For larger steps, that rate fails along the largest eigenvalue from the first step on.

    $|1 - \eta\lambda_{max}| > 1 - \eta\lambda_{min}$ if $\eta > 2/(\lambda_{min} + \lambda_{max})$, so the bound of
    `residual-decay` holds for every residual only if the steps are as small as it asks. Proof. Then
    $\eta\lambda_{max} - 1 > 1 - \eta\lambda_{min}$.
    """
    eta = np.asarray(instance.eta)
    return less(1 - eta * instance.slowest(), absolute(1 - eta * instance.fastest()))
