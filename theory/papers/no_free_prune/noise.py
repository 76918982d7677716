"""Correlation with noise."""

from __future__ import annotations

from typing import Any

from theory.claims import PROVED, REFUTED, Assumption, claim
from theory.information import at_most_logs, rational_part
from theory.memorisation import NoisyFits
from theory.papers.no_free_prune.assumptions import uniform_labels
from theory.papers.sources import NO_FREE_PRUNE
from theory.relations import Relation


def _too_large(chooser: Any, instance: NoisyFits) -> NoisyFits:
    return instance.with_(functions=instance.functions * 4)


bounded_functions = Assumption(
    "bounded-functions", "|f| <= 1 for every f", lambda i: (abs(i.functions) <= 1).all(axis=(-2, -1)), _too_large
)


@claim(
    NoisyFits,
    PROVED,
    NO_FREE_PRUNE.at("seed"),
    assumes=(uniform_labels, bounded_functions),
    repairs="noise-correlation-without-information",
    proof_gap="rests on Hoeffding's lemma, a bound of an exponential by the exponential of a square",
)
def noise_correlation(instance: NoisyFits) -> Relation:
    r"""Correlation with random labels needs many functions, or information about the labels.

    $E \max_{f \in F_M} \frac1n \sum_i f(x_i) e_i \le \sqrt{2 (E \log |F_M| + I(M; e)) / n}$ for $|f| \le 1$, fixed
    $x$ and uniform signs $e$. Stated squared (with the sign of the left side).

    Proof. Donsker and Varadhan for each mask, with $E \exp(\lambda \max_f \sum_i f(x_i) e_i) \le |F_m| e^{\lambda^2
    n/2}$. Independent signs of mean 0 suffice. Nearly attained at n = 1 by functions that guess e slightly better
    than chance.
    """
    return _noise_correlation(instance, instance.log_size() + instance.information())


@claim(
    NoisyFits,
    REFUTED,
    NO_FREE_PRUNE.at("the bound without its information term"),
    assumes=(uniform_labels, bounded_functions),
)
def noise_correlation_without_information(instance: NoisyFits) -> Relation:
    r"""Correlation with random labels needs many functions, even if the mask has seen the labels.

    $E \max_{f \in F_M} \frac1n \sum_i f(x_i) e_i \le \sqrt{2\, E \log |F_M| / n}$. False: one function a mask, and a
    mask that knows the noise, fit it with $\log |F_M| = 0$.
    """
    return _noise_correlation(instance, instance.log_size())


def _noise_correlation(instance: NoisyFits, nats: Any) -> Relation:
    found = instance.correlation()
    return at_most_logs(rational_part(found * abs(found), instance.labels), nats * (2 * instance.one / instance.n))
