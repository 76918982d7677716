r"""No Free Prune (Kumar, Luo, Sellke, arXiv 2402.01089), known here from a summary ("seed").

Data $D$ with a law, a possibly randomised rule $P(m \mid D)$ over masks of $N$ weights,
$p_{eff} = E\|m\|_0 + I(m; D)$. Memorisation: uniform labels $y$ on $n$ points, $G_m$ the labelings that can be
realised with mask $m$, $p = P(Y \in G_M)$, $q = E|G_M| / 2^n$. Informations are in nats. Every entropy is decided
exactly, equality included (see `theory.information.LogSum`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import comb
from typing import Any, ClassVar

import numpy as np
from flint import fmpq

from theory.claims import Assumption, Source, Status, claim
from theory.information import (
    MaskLaw,
    TestedLaw,
    at_most_logs,
    binary_divergence,
    binary_entropy,
    constant_log,
    entropy,
    equal_logs,
    is_decoupled,
    masks_at_most,
    rational_part,
)
from theory.instances import Instance
from theory.memorisation import (
    CorrelationMask,
    FittedMasks,
    LabelledMasks,
    MemorisingMasks,
    NoisyFits,
    PrunedUnit,
    ThresholdUnit,
    agreements,
)
from theory.papers.sources import NO_FREE_PRUNE
from theory.relations import Relation, all_of, at_most, equal, less
from theory.robustness import BestDirection, FarComponents, LinearEnsemble
from theory.scalars import indicator, is_exact, total
from theory.separability import cover_number, in_general_position

SEED = "seed"


# -- information ----------------------------------------------------------------------------------


def _logs_of(numbers: list[int], law: MaskLaw) -> Any:
    """Logarithm of numbers[k] with k the largest number of ones, per instance."""
    whole = total(law.weights, axis=(-2, -1))
    chosen = np.asarray(numbers, dtype=object if is_exact(law.weights) else float)[law.largest()]
    return constant_log(chosen, whole)


def _exactly_k(law: MaskLaw) -> Any:
    possible = law.mask_weights() > 0
    return (~possible | (law.ones == law.largest()[..., None])).all(axis=-1)


def _all_masks_possible(chooser: Any, law: MaskLaw) -> MaskLaw:
    masks = tuple(product((0, 1), repeat=law.n))
    column = law.weights[..., :1]
    return law.with_(masks=masks, weights=column * 0 + chooser.positives((law.weights.shape[-2], len(masks))))


exactly_k_weights = Assumption(
    "exactly-k-weights", "every mask of positive probability keeps the same number k of weights", _exactly_k,
    _all_masks_possible,
)  # fmt: skip


@claim(
    about=MaskLaw, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED, assumes=(exactly_k_weights,),
    draws={"same_size": True},
)  # fmt: skip
def information_range(instance: MaskLaw) -> Relation:
    r"""The mask's information lies between 0 and the logarithm of the number of masks.

    $0 \le I(m; D) \le H(m) \le \log \binom{N}{k}$ if exactly $k$ weights are kept.

    Proof. Gibbs' inequality; $I = H(m) - H(m \mid D)$; the uniform law has the largest entropy.
    """
    information, entropy_of_mask = instance.information(), entropy(instance.mask_weights())
    n = instance.n
    return all_of(
        at_most_logs(information * 0, information, "0 <= I"),
        at_most_logs(information, entropy_of_mask, "I <= H(m)"),
        at_most_logs(entropy_of_mask, _logs_of([comb(n, k) for k in range(n + 1)], instance), "H(m) <= log C(N, k)"),
    )


@claim(about=MaskLaw, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED)
def information_range_at_most_k(instance: MaskLaw) -> Relation:
    r"""The same if at most k weights are kept.

    $0 \le I(m; D) \le H(m) \le \log \sum_{i \le k} \binom{N}{i}$ if at most $k$ weights are kept.

    Proof. As `information-range`; there are $\sum_{i \le k} \binom{N}{i}$ masks.
    """
    information, entropy_of_mask = instance.information(), entropy(instance.mask_weights())
    n = instance.n
    return all_of(
        at_most_logs(information * 0, information, "0 <= I"),
        at_most_logs(information, entropy_of_mask, "I <= H(m)"),
        at_most_logs(entropy_of_mask, _logs_of([masks_at_most(n, k) for k in range(n + 1)], instance), "H(m) <= log"),
    )


def _one_more(chooser: Any, law: MaskLaw) -> MaskLaw:
    return law.with_(weights=law.weights + chooser.weights(law.weights.shape[-2:]))


ignores_the_data = Assumption(
    "ignores-the-data", "the mask is drawn in the same way whatever the data", lambda i: is_decoupled(i.weights),
    _one_more,
)  # fmt: skip


@claim(
    about=MaskLaw, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED, assumes=(ignores_the_data,),
    draws={"independent": True},
)  # fmt: skip
def data_independent_mask(instance: MaskLaw) -> Relation:
    r"""A mask rule that ignores the data has as many effective parameters as it keeps weights.

    If $P(m \mid D) = P(m)$ then $I(m; D) = 0$ and $p_{eff} = E\|m\|_0$.

    Proof. $I(m; D) = \mathrm{KL}(P(m, D) \,\|\, P(m) P(D)) = 0$.
    """
    kept = rational_part(instance.kept(), instance.weights)
    return equal_logs(instance.effective_parameters(), kept)


def _narrow(chooser: Any, law: TestedLaw) -> TestedLaw:
    return law.with_(proxy=law.proxy / 4)


sub_gaussian = Assumption(
    "sub-gaussian",
    "g(m, D) is sigma-sub-Gaussian for each m; here: its range is at most 2 sigma (Hoeffding's lemma)",
    lambda i: i.widest() ** 2 <= 4 * np.asarray(i.proxy),
    _narrow,
)


@claim(
    about=TestedLaw, source=Source(NO_FREE_PRUNE, "seed; Xu & Raginsky 2017, Lemma 1"), status=Status.PROVED,
    assumes=(sub_gaussian,),
)  # fmt: skip
def decoupling(instance: TestedLaw) -> Relation:
    r"""What depends on mask and data together differs from the decoupled value by at most the information.

    $|E\,g(M, D) - E\,g(M, D')| \le \sqrt{2 \sigma^2 I(M; D)}$ for an independent copy $D'$ of the data, if
    $g(m, D)$ is $\sigma$-sub-Gaussian for each $m$. Stated squared.

    Proof. Donsker and Varadhan: $\lambda (E\,g(M,D) - E\,g(M,D')) - \lambda^2\sigma^2/2 \le I(M; D)$ for all
    $\lambda$; choose the best. The constant 2 is best: for $M = D$ with probability $1/2 + t$ and the best $g$ the
    constant that is needed tends to 2 as $t \to 0$, and it is attained only where both sides are 0.
    """
    gap = instance.gap()
    return at_most_logs(rational_part(gap * gap, instance.weights), instance.information() * (2 * instance.proxy))


# -- assumptions on labels ------------------------------------------------------------------------


def _other_labels(chooser: Any, instance: Any) -> Any:
    """One labeling with certainty, two opposite ones, or any law."""
    count = instance.labels.shape[-1]
    at, kind = np.arange(count), chooser.integers((1,), 0, 3)
    one = chooser.integers((1,), 0, count - 1) == at
    ends = (at == 0) | (at == count - 1)
    certain = indicator(np.where(kind == 0, one, ends), instance.labels)
    return instance.with_(labels=np.where(kind == 3, chooser.weights((count,)), certain))


uniform_labels = Assumption(
    "uniform-labels", "all labelings are equally likely",
    lambda i: (i.labels == i.labels[..., :1]).all(axis=-1), _other_labels,
)  # fmt: skip


def _choosing_well(chooser: Any, instance: FittedMasks) -> FittedMasks:
    """Where a coin says so, the rule chooses a mask that gets most points right."""
    correct = np.swapaxes(instance.correct(), -1, -2)
    well = indicator(correct == correct.max(axis=-1)[..., None], instance.rule)
    return instance.with_(rule=np.where(chooser.integers((1, 1), 0, 1) == 1, well, instance.rule))


independent_labels = Assumption(
    "independent-labels", "the labels of different points are independent", lambda i: i.independent(),
    lambda chooser, instance: _choosing_well(chooser, _other_labels(chooser, instance)),
)  # fmt: skip


# -- noise correlation ----------------------------------------------------------------------------


def _too_large(chooser: Any, instance: NoisyFits) -> NoisyFits:
    return instance.with_(functions=instance.functions * 4)


bounded_functions = Assumption(
    "bounded-functions", "|f| <= 1 for every f", lambda i: (abs(i.functions) <= 1).all(axis=(-2, -1)), _too_large
)


@claim(
    about=NoisyFits, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED,
    assumes=(uniform_labels, bounded_functions), twin="no-free-prune/noise-correlation-without-information",
)  # fmt: skip
def noise_correlation(instance: NoisyFits) -> Relation:
    r"""Fitting noise costs functions or information.

    $E \max_{f \in F_M} \frac1n \sum_i f(x_i) e_i \le \sqrt{2 (E \log |F_M| + I(M; e)) / n}$ for $|f| \le 1$, fixed
    $x$ and uniform signs $e$. Stated squared (with the sign of the left side).

    Proof. Donsker and Varadhan for each mask, with $E \exp(\lambda \max_f \sum_i f(x_i) e_i) \le |F_m| e^{\lambda^2
    n/2}$. Independent signs of mean 0 suffice. Nearly attained at n = 1 by functions that guess e slightly better
    than chance.
    """
    return _noise_correlation(instance, instance.log_size() + instance.information())


@claim(
    about=NoisyFits, source=Source(NO_FREE_PRUNE, "the bound without its information term"), status=Status.REFUTED,
    assumes=(uniform_labels, bounded_functions), twin="no-free-prune/noise-correlation",
)  # fmt: skip
def noise_correlation_without_information(instance: NoisyFits) -> Relation:
    r"""Fitting noise costs functions, even if the mask has seen the noise.

    $E \max_{f \in F_M} \frac1n \sum_i f(x_i) e_i \le \sqrt{2\, E \log |F_M| / n}$. False: one function a mask, and a
    mask that knows the noise, fit it with $\log |F_M| = 0$.
    """
    return _noise_correlation(instance, instance.log_size())


def _noise_correlation(instance: NoisyFits, nats: Any) -> Relation:
    found = instance.correlation()
    return at_most_logs(rational_part(found * abs(found), instance.labels), nats * (2 * _one(instance) / instance.n))


def _one(instance: LabelledMasks) -> Any:
    """1 in the kind of number, and per instance of a stack."""
    return total(instance.label_law, axis=-1)


# -- counting -------------------------------------------------------------------------------------


@claim(
    about=ThresholdUnit, source=Source(NO_FREE_PRUNE, "seed; Cover 1965"), status=Status.PROVED,
    twin="no-free-prune/cover-count-with-ties",
)  # fmt: skip
def cover_count(instance: ThresholdUnit) -> Relation:
    r"""How many labelings a linear threshold unit realises.

    On $k$ kept inputs it realises at most $2 \sum_{i < k} \binom{n-1}{i}$ labelings of $n$ points, with equality in
    general position; with a bias $k + 1$ stands for $k$. A point at $w \cdot x = 0$ has no label.

    Proof. Cover 1965: a new point splits as many dichotomies as the others have in one dimension less:
    $C(n + 1, k) = C(n, k) + C(n, k - 1)$. Each labeling is decided by weights or by a Farkas combination.
    """
    points = instance.points()
    realised, bound = fmpq(instance.realised()), fmpq(cover_number(*points.shape))
    return at_most(realised, bound) & equal(realised, bound, "general position").when(in_general_position(points))


@claim(
    about=ThresholdUnit, source=Source(NO_FREE_PRUNE, "the count with sign(0) = 1, ours"), status=Status.REFUTED,
    twin="no-free-prune/cover-count",
)  # fmt: skip
def cover_count_with_ties(instance: ThresholdUnit) -> Relation:
    r"""The same count for a unit that answers +1 at 0.

    At most $2 \sum_{i < k} \binom{n-1}{i}$ labelings with $\mathrm{sign}(0) = 1$. False: two opposite points on a line
    ($k = 1$) get $(+,-)$, $(-,+)$, and with $w = 0$ also $(+,+)$.
    """
    return at_most(fmpq(instance.realised(weak=True)), fmpq(cover_number(*instance.points().shape)))


@claim(about=PrunedUnit, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED, assumes=(uniform_labels,))
def counting(instance: PrunedUnit) -> Relation:
    r"""Random labels are rarely memorised by any mask.

    $P(\text{some mask memorises the labels}) \le \binom{N}{k} C(n, k) / 2^n$ with Cover's count $C(n, k)$, for a linear
    threshold unit on $k$ of $N$ inputs and uniform labels.

    Proof. Union bound over masks, and `cover-count`.
    """
    n, inputs = instance.x.shape
    bound = fmpq(comb(inputs, instance.keep) * cover_number(n, instance.keep), 2**n)
    return at_most(instance.memorised_by_some_mask(), bound)


# -- memorisation ---------------------------------------------------------------------------------


@claim(
    about=MemorisingMasks, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED, assumes=(uniform_labels,),
    twin="no-free-prune/memorisation-exponential-literal",
)  # fmt: skip
def memorisation_information(instance: MemorisingMasks) -> Relation:
    r"""Memorising more than by chance costs information.

    $d(p \,\|\, q) \le I(M; Y)$ for $p = P(Y \in G_M)$, $q = E|G_M|/2^n$, uniform labels.

    Proof. Data processing: the event $Y \in G_M$ has probability $p$ under the joint law and $q$ under the product of
    the marginals. Attained, for instance, when one point is memorised by copying its label into the mask.
    """
    return at_most_logs(binary_divergence(instance.memorised(), instance.by_chance()), instance.information())


@claim(
    about=MemorisingMasks, source=Source(NO_FREE_PRUNE, "the exponential form"), status=Status.REFUTED,
    assumes=(uniform_labels,), twin="no-free-prune/memorisation-information",
)  # fmt: skip
def memorisation_exponential_literal(instance: MemorisingMasks) -> Relation:
    r"""A bit of information at most doubles the chance to memorise.

    $p \le 2^{I(M; Y)} q$ with $I$ in bits. False: information is an average, and a rule can spend it all on the few
    labelings where it pays.
    """
    p, q = instance.memorised(), instance.by_chance()
    grown = _log(q) + instance.information()
    return at_most_logs(_log(p), grown).when(np.asarray(p > 0, dtype=bool))


def _log(p: Any) -> Any:
    positive = np.where(np.asarray(p > 0, dtype=bool), p, p * 0 + 1)
    return constant_log(positive, p)


@claim(about=MemorisingMasks, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED, assumes=(uniform_labels,))
def memorising_needs_parameters(instance: MemorisingMasks) -> Relation:
    r"""To memorise, effective parameters must be at least samples.

    $p\, n \le I(M; Y) + E[1_S \log_2 |G_M|] + h(p)$ in bits, $S$ the event $Y \in G_M$; hence $p = 1$ implies
    $I + E \log_2 |G_M| \ge n$. With $b$-bit weights $\log_2 |G_m| \le b \|m\|_0$.

    Proof. Fano: given $M$ and $S$, $Y$ is one of $|G_M|$ labelings, so $H(Y \mid M) \le h(p) + E[1_S \log |G_M|] + (1
    - p) n \log 2$. Equality at $p = 1$ iff, given $M$, $Y$ is uniform on $G_M$.
    """
    p = instance.memorised()
    allowed = instance.information() + instance.log_size_when_memorised() + binary_entropy(p)
    return at_most_logs(constant_log(2, p) * (p * instance.n), allowed)


@claim(about=MemorisingMasks, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED, assumes=(uniform_labels,))
def leakage_count(instance: MemorisingMasks) -> Relation:
    r"""The chance to memorise, bounded by what the rule leaks mask by mask.

    $p \le \sum_m \max_y P(m \mid y)\, |G_m| / 2^n$ for uniform labels.

    Proof. $p = \sum_m \sum_{y \in G_m} 2^{-n} P(m \mid y)$. Equality for rules that choose a mask exactly where it
    fits.
    """
    leaked = instance.conditional.max(axis=-2)
    return at_most(instance.memorised(), total(leaked * instance.sizes(), axis=-1) / 2**instance.n)


def _worse_answers(chooser: Any, instance: FittedMasks) -> FittedMasks:
    """For some masks and labels the worst labeling of G_m instead of the best."""
    allowed = instance.realisable[..., None, :] == 1
    worst = np.argmin(np.where(allowed, agreements(instance.n), instance.n + 1), axis=-1)
    keep = chooser.integers(instance.answers.shape[-2:], 0, 1) == 1
    worse = np.where(keep, instance.answers, instance.answers * 0 + worst)
    return _choosing_well(chooser, instance.with_(answers=worse))


best_fit = Assumption(
    "best-fit", "with each mask the labeling of G_m is fitted that is right about most points",
    lambda i: (i.correct() == i.best()).all(axis=(-2, -1)), _worse_answers,
)  # fmt: skip


@claim(
    about=FittedMasks, source=Source(NO_FREE_PRUNE, SEED), status=Status.PROVED,
    assumes=(independent_labels, best_fit),
)  # fmt: skip
def data_gain(instance: FittedMasks) -> Relation:
    r"""What it gains to let the mask see the labels.

    The gain in expected best accuracy, $E A(M, Y) - E A(M, Y')$, is at most $\sqrt{I(M; Y) / (2n)}$ in absolute value,
    for independent labels and the best fit with each mask. Stated squared.

    Proof. $A(m, \cdot)$ changes by at most $1/n$ with one label, so it is $1/(2\sqrt n)$-sub-Gaussian (McDiarmid);
    `decoupling`.
    """
    gain = instance.accuracy_gain()
    bound = instance.information() * (_one(instance) / (2 * instance.n))
    return at_most_logs(rational_part(gain * gain, instance.labels), bound)


@claim(about=CorrelationMask, source=Source(NO_FREE_PRUNE, "its converse, ours"), status=Status.REFUTED)
def information_is_enough(instance: CorrelationMask) -> Relation:
    r"""A mask with information on the labels memorises more than the best mask without.

    If $I(M; Y) > 0$ and no mask realises all that some mask realises, then $p > \max_m |G_m| / 2^n$. False already
    for a top-1 mask by SNIP's score on a linear model, $|\sum_i y_i x_{ij}|$: what the mask knows need not be what
    the unit can use.
    """
    law = instance.law
    fixed = law.sizes().max(axis=-1) / (_one(law) * 2**law.n)
    union = total(law.realisable.max(axis=-2), axis=-1)
    worth_choosing = np.asarray(union > law.sizes().max(axis=-1), dtype=bool)
    return less(fixed, law.memorised()).when(worth_choosing & np.logical_not(is_decoupled(law.joint)))


# -- laws of robustness ---------------------------------------------------------------------------


@claim(
    about=LinearEnsemble, source=Source(NO_FREE_PRUNE, "seed; after Bubeck & Sellke 2021"), status=Status.PROVED,
    twin="no-free-prune/law-of-robustness-many-components",
    slack="a tail bound with constants for every class of functions; the classes with closed forms stay far below it",
)  # fmt: skip
def law_of_robustness_finite(instance: LinearEnsemble) -> Relation:
    r"""A finite class that fits below the noise level is not smooth.

    For a finite class $F$ clipped to $[-1, 1]$ and one $c$-isoperimetric component in dimension $d$: $P(\exists f \in
    F: \mathrm{Lip} f \le L, \text{train MSE} \le \sigma^2 - \varepsilon) \le e^{-n\varepsilon^2/32} + 2
    e^{-n\varepsilon^2/128} + |F| e^{-n\varepsilon^2 d / (64 K c L^2)}$, with $K = 3.3$ in general and $K = 1/2$ for
    Gaussian $x$ and labels $\pm 1$.

    Proof. Split $y$ into signal and noise and $f$ into mean and rest; Hoeffding for the first two terms, isoperimetry
    and a union bound for the third; the general $K$ is numerical and not checked here. What is decided here are two
    classes whose success has a closed form: $N$ linear functions along orthonormal directions (Gaussian, unclipped:
    correlation at least $\varepsilon/2$ has probability $1 - \Phi(t)^N$, $t = \varepsilon\sqrt{nd}/(2L)$; balls) and
    two constants ($L = 0$: a binomial tail). They test exponents and factors, not the whole theorem.
    """
    noise = instance.noise_terms()
    return all_of(
        at_most(instance.linear_success(), noise + instance.class_term(fmpq(1, 2)), "linear"),
        at_most(instance.constant_success(), noise, "constants"),
    )


@claim(
    about=FarComponents, source=Source(NO_FREE_PRUNE, "seed; the bound without a limit on k"), status=Status.REFUTED,
    twin="no-free-prune/law-of-robustness-finite",
)  # fmt: skip
def law_of_robustness_many_components(instance: FarComponents) -> Relation:
    r"""The law of robustness for a mixture of any number of components.

    $P(\ldots) \le 4k e^{-n\varepsilon^2/8^3} + 2 |F| e^{-n\varepsilon^2 d/(10^4 c L^2)}$ for $k$ components. False
    without a limit on $k$: with far more than $n^2$ components, far apart, every sample has a component of its own,
    and functions that are constant on each component ($|F| = 2^k$, $\varepsilon = 1$) fit any labels as smoothly as
    one likes. The left side here is the lower bound $1 - n(n-1)/(2k)$.
    """
    return at_most(instance.memorised_at_least(), instance.literal_bound())


@claim(
    about=BestDirection,
    source=Source(NO_FREE_PRUNE, "seed; the step that brings in I(M; D)"),
    status=Status.PROVED,
    slack="the constant 2 is approached only as log N grows: 1.365 is needed at N = 100, 1.712 at N = 10^6",
)
def law_of_robustness_effective(instance: BestDirection) -> Relation:
    r"""The Lipschitz constant is at least of order eps sqrt(n d / p_eff).

    $P(S) \ge 1/2 + \text{noise terms}$ implies
    $E \log(1 + |F_M|) + I(M; D) \ge n \varepsilon^2 d / (256 K c L^2)$ ($K$ numerical).

    Proof. `decoupling` of the correlation with the noise, sub-Gaussian with variance $cL^2/(nd)$ for one function.
    What is decided here is that step where it is nearly tight, in closed form: of $N$ orthonormal directions the mask
    keeps the one that correlates best, so $E \max_{j \le N} Z_j \le \sqrt{2 I}$ with $I = \log N$ and $Z_j$
    independent standard normal. The constant that is needed for 2 is 1.37 at $N = 100$ and 1.71 at $N = 10^6$ (balls,
    rigorous quadrature).
    """
    best = instance.correlation()
    return at_most(best * best, 2 * instance.information())


# -- decided by experiments -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MemorisationTrials(Instance):
    """Trained networks; nothing here is drawn. See `theory.information` for what is measured."""

    title: ClassVar[str] = "trained networks"
    stackable: ClassVar[bool] = False


def _by_experiment() -> Relation:
    return Relation((), undefined="decided by experiments")


@claim(about=MemorisationTrials, source=Source(NO_FREE_PRUNE, SEED), status=Status.EMPIRICAL)
def training_based_memorises_more(instance: MemorisationTrials) -> Relation:
    r"""At equal sparsity, masks from training-based pruning memorise more than masks from pruning at initialisation.

    Memorisation is the fraction of random training labels given back. With a global threshold one mostly measures
    layer collapse, so raw rankings, the number of weights on live input-output paths, and both ways of thresholding
    (global, layerwise) belong to the answer. At small scale SynFlow with layerwise thresholds ties iterative
    magnitude pruning. Decided layerwise at 10 % for iterative magnitude pruning and magnitude after training, each
    above each method at initialisation.
    """
    return _by_experiment()


@claim(about=MemorisationTrials, source=Source(NO_FREE_PRUNE, "same-law control, ours"), status=Status.EMPIRICAL)
def information_raises_capacity(instance: MemorisationTrials) -> Relation:
    r"""A mask that has seen the labels memorises more than one of the same law that has not.

    Mask from $(w_0, x, y)$ against mask from $(w_0, x, y')$ with fresh labels $y'$, both trained on $y$ from $w_0$.
    Labels are independent of $(w_0, x)$, so the masks have the same law and the second has $I(m; y \mid w_0, x) = 0$.
    With $D_i$ the difference in memorisation of pair $i$ (`theory.information.paired_difference`): $H_0$: $P(D_i > 0)
    \le P(D_i < 0)$, tested by the paired sign e-process $E_t = \mathrm{mean}_\lambda \prod_{i \le t} (1 + \lambda\,
    \mathrm{sign} D_i)$, stopped at $E_t \ge 1/\alpha$ (error probability at most $\alpha$ at any stopping time, by
    Ville's inequality). Decided for iterative magnitude pruning; other methods are shown beside it.
    """
    return _by_experiment()


@claim(about=MemorisationTrials, source=Source(NO_FREE_PRUNE, SEED), status=Status.EMPIRICAL)
def noise_correlation_ranking(instance: MemorisationTrials) -> Relation:
    r"""Correlation with label noise orders pruning methods as their memorisation does.

    $\frac1n \sum_i f(x_i) z_i$ with $z$ the label noise, on Gaussian data, the digits and CIFAR-10 with noisy labels:
    in each the rank correlation over methods is more often positive than negative.
    """
    return _by_experiment()


@claim(about=MemorisationTrials, source=Source(NO_FREE_PRUNE, SEED), status=Status.EMPIRICAL)
def capacity_tracks_effective_parameters(instance: MemorisationTrials) -> Relation:
    r"""Memorisation rank-correlates with the effective number of parameters.

    $p_{eff} = E\|m\|_0 + I(m; D \mid w_0)$, across methods and sparsities. In small discrete worlds (all labelings
    and a finite law of $w_0$ enumerated) $I$ is computed exactly with `theory.information.conditional_information`;
    at scale there are only bounds: $0 \le I \le \log \binom{N}{k}$, and $I \ge d(p \,\|\, q)$ from
    `memorisation-information`.
    """
    return _by_experiment()
