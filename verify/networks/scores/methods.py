"""Scores of the weights of a torch module, as `theory.saliency` defines them by enumeration.

Sums over paths are gradients of the evaluations of `verify.networks.paths.sums`: with
R_k = sum_{p -> k} |v_p|^q as a function of |theta|^q, the sum over the paths through j is
|theta_j|^q dR_k / d|theta_j|^q.

A method is a `Scorer` in `METHODS`; whoever offers methods by name reads that table.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verify.networks.paths.sums import Pass, Scaled, flow, gradients
from verify.networks.recording.checks import check_finite, check_inputs, check_module, does_not_run
from verify.networks.recording.graph import Graph, NotCovered
from verify.networks.recording.modes import substituted, untouched
from verify.networks.scores.released import released
from verify.networks.scores.task import Scores, Task
from verify.trials.streams import stream

SCORED = ("weights", "all")
STATISTICS = {"evaluation": "stored statistics", "batch": "batch statistics", "held": "statistics of the batch, held"}
"""Which statistics normalisations take while a module is scored; "held": those of the batch, as constants."""


@dataclass(frozen=True)
class Scorer:
    """A method of scoring weights; pruning keeps the largest scores.

    Attributes:
        name: how it is called.
        sentence: what it computes.
        needs: "nothing", "shape" (of a sample), "data" or "data and labels".
        score: the scores of a `Task`.
        paths: whether it sums over paths, and so needs a module that `verify.assumptions` finds piecewise linear.
        power: of a sum over paths, the q of |v_p|^q, where rounds can be compiled.
        rounds, statistics, temperature: with which it was published; what `prune` takes when nobody says.
        modes: whether statistics and temperature can be chosen.
        published: where, and in what `prune` differs from it.
    """

    name: str
    sentence: str
    needs: str
    score: Callable[[Task], Scores]
    paths: bool = False
    power: int | None = None
    rounds: int = 1
    statistics: str = "evaluation"
    temperature: float = 1.0
    modes: bool = False
    published: str = ""

    @property
    def needs_x(self) -> bool:
        """Whether inputs must be given."""
        return self.needs != "nothing"

    @property
    def needs_y(self) -> bool:
        """Whether labels must be given."""
        return self.needs == "data and labels"

    def settings(
        self, rounds: int | None = None, statistics: str | None = None, temperature: float | None = None
    ) -> str:
        """Rounds, statistics and temperature in words; those published where not given."""
        rounds, temperature = rounds or self.rounds, temperature or self.temperature
        parts = ["one round" if rounds == 1 else f"{rounds} rounds"]
        parts += [STATISTICS[statistics or self.statistics]] if self.needs_x else []
        parts += [f"outputs divided by {temperature:g}"] if temperature != 1 else []
        return ", ".join(parts)

    @property
    def definition(self) -> dict[str, Any]:
        """Statistics and temperature of the score as the theory defines it; those released where that is its point."""
        return {"statistics": "evaluation" if self.modes else self.statistics, "temperature": 1.0}

    def check_mode(self, statistics: str, temperature: float) -> None:
        """Raise unless the method can be scored so.

        Raises:
            ValueError: unknown statistics, a temperature that is not positive, or a mode that it does not have.
        """
        if statistics not in STATISTICS:
            raise ValueError(f"statistics are {', '.join(STATISTICS)}; got {statistics!r}")
        if not temperature > 0:
            raise ValueError(f"a temperature is positive; got {temperature}")
        if not self.modes and (statistics, temperature) != (self.statistics, self.temperature):
            raise ValueError(f"{self.name} is scored in one way only: {self.settings()}")

    def __str__(self) -> str:
        where = f" ({self.published})" if self.published else ""
        return f"{self.name}: {self.sentence}; needs {self.needs}; {self.settings()}{where}"


# -- the methods --------------------------------------------------------------------------------------


def _magnitude(task: Task) -> Scores:
    return Scores({n: task.theta[n].abs() for n in task.names})


def _random(task: Task) -> Scores:
    generator, theta = stream("random scores", task.seed), task.theta
    drawn = {n: torch.rand(theta[n].shape, generator=generator, dtype=torch.float64).to(theta[n]) for n in task.names}
    masks = task.masks or {}
    return Scores({n: d * masks[n].to(d) if n in masks else d for n, d in drawn.items()})


def _flow(task: Task, power: int, d: Scaled | None = None) -> Scores:
    weights = task.weights(power)
    with torch.enable_grad():
        r = task.flow(weights, power)
        objective = r.value.sum() if d is None else (r.value * d.value).sum()
        return task.scored(objective, weights, r.exponent + (0 if d is None else d.exponent))


def _px(task: Task) -> Scores:
    d = task.activation_per_output()
    found = _flow(task, 2, d)
    return Scores(found.values, found.log10_objective, d.value)


def _px_frozen(task: Task) -> Scores:
    if task.frozen is None:
        return _px(task)
    found = _flow(task, 2, Scaled(task.frozen, 0))
    return Scores(found.values, found.log10_objective, task.frozen)


def _gated(task: Task, start: Callable[[Tensor], Tensor], d: Scaled | None) -> Scores:
    """Sums of v_p^2 over the paths that are on, sample by sample."""
    weights, values = task.weights(2), task.values()
    with torch.enable_grad():
        walk = Pass(task.recorded(), task.tensors, weights, 2, gates=values, constant=task.biases, rescale=task.rescale)
        r = walk.sums(start(task.inputs))
        objective = (r.value if d is None else r.value * d.value).sum()
        return task.scored(objective, weights, r.exponent + (0 if d is None else d.exponent))


def _path_energy(task: Task) -> Scores:
    return _gated(task, torch.square, None)


def _px_per_sample(task: Task) -> Scores:
    # As in theory.saliency, a weight of 0 is no edge here.
    return _gated(task, torch.ones_like, task.activation({n: t != 0 for n, t in task.theta.items()}))


def _loss(outputs: Tensor, y: Tensor) -> Tensor:
    if y.is_floating_point():
        if y.shape != outputs.shape:
            raise ValueError(f"targets have shape {tuple(y.shape)}, the outputs {tuple(outputs.shape)}")
        return ((outputs - y) ** 2).sum() / 2
    if y.ndim != 1 or int(y.min()) < 0 or int(y.max()) >= outputs.shape[1]:
        raise ValueError(f"labels must be integers in 0..{outputs.shape[1] - 1}, one a sample")
    return F.cross_entropy(outputs, y)


def _normalisations(module: nn.Module) -> list[Any]:
    """The submodules that normalise by stored statistics in evaluation mode."""
    return [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._NormBase) and m.track_running_stats]


@contextlib.contextmanager
def _batch_statistics(module: nn.Module, momentum: float | None) -> Iterator[None]:
    """Context in which a module in evaluation mode normalises by its batch; what is stored moves by ``momentum``."""
    norms = [] if momentum is None else _normalisations(module)
    before = [m.momentum for m in norms]
    try:
        for m in norms:
            m.training, m.momentum = True, momentum
        yield
    finally:
        for m, b in zip(norms, before, strict=True):
            m.training, m.momentum = False, b


@contextlib.contextmanager
def _statistics(task: Task, theta: Mapping[str, Tensor], x: Tensor) -> Iterator[None]:
    """Context in which the stored statistics are, if they are to be held, those of the batch ``x``."""
    if task.statistics != "held":
        yield
        return
    stored = [b for m in _normalisations(task.module) for b in m.buffers(recurse=False)]
    before = [b.clone() for b in stored]
    try:
        with torch.no_grad():
            _evaluated(task.module, theta, x, momentum=1.0)
        yield
    finally:
        with torch.no_grad():
            for b, was in zip(stored, before, strict=True):
                b.copy_(was)


def _evaluated(module: nn.Module, theta: Mapping[str, Tensor], x: Tensor, momentum: float | None = None) -> Tensor:
    """The outputs (n, K) with other parameters; with ``momentum`` normalised by the batch, see `_batch_statistics`."""
    with substituted(module, theta), _batch_statistics(module, momentum):
        try:
            out = module(x)
        except Exception as e:
            raise does_not_run(x, e) from e
    if not isinstance(out, Tensor) or not out.is_floating_point() or out.ndim < 1 or len(out) != len(x):
        kind = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(
            f"the module gives {kind} for {len(x)} samples: one tensor of real numbers is needed, samples first"
        )
    return out.reshape(len(out), -1)


def _outputs(task: Task, theta: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The outputs in the mode that was asked for."""
    return _evaluated(task.module, theta, x, 0.0 if task.statistics == "batch" else None) / task.temperature


def _of_loss(task: Task, twice: bool) -> dict[str, Tensor]:
    theta = {n: t.clone().requires_grad_(n in task.names) for n, t in task.theta.items()}
    leaves = [theta[n] for n in task.names]
    with torch.enable_grad(), _statistics(task, theta, task.inputs):
        loss = _loss(_outputs(task, theta, task.inputs), task.labels)
        g = gradients(loss, leaves, create_graph=twice)
        if twice:
            # H g is the gradient of g'g with one g held fixed.
            product = torch.stack([(a * a.detach()).sum() for a in g]).sum()
            try:
                g = gradients(product, leaves)
            except RuntimeError as e:
                line = str(e).strip().splitlines()[0]
                raise NotCovered("", "", f"has no second derivatives: {line}", "grasp") from e
    return {n: (theta[n] * a).detach() for n, a in zip(task.names, g, strict=True)}


def _snip(task: Task) -> Scores:
    return Scores({n: s.abs() for n, s in _of_loss(task, False).items()})


def _grasp(task: Task) -> Scores:
    return Scores(_of_loss(task, True))


def _ntk_sap(task: Task, epsilon: float = 1e-2) -> Scores:
    generator, theta, names = stream("ntk-sap", task.seed), task.theta, task.names
    inputs = torch.randn(task.inputs.shape, generator=generator, dtype=torch.float64).to(task.inputs)
    shifts = {n: torch.randn(theta[n].shape, generator=generator, dtype=torch.float64).to(theta[n]) for n in names}
    here = {n: (theta[n] != 0).to(theta[n]).requires_grad_() for n in names}
    with torch.enable_grad(), _statistics(task, theta, inputs):
        dense = _outputs(task, {**theta, **{n: theta[n] * here[n] for n in names}}, inputs)
        moved = {n: (theta[n] + epsilon * shifts[n]) * here[n] for n in names}
        distance = ((dense - _outputs(task, {**theta, **moved}, inputs)) ** 2).sum()
        g = gradients(distance, list(here.values()))
    return Scores({n: (a * here[n].detach()).abs() for n, a in zip(names, g, strict=True)})


def _released(task: Task) -> Scores:
    return Scores({n: v for n, v in released(task.module, task.inputs, task.masks).items() if n in task.names})


ITERATED = 100
SYNFLOW, PX = "arXiv 2006.05467", "arXiv 2406.01820, released as iurada/px-ntk-pruning"
OURS = "ours, rounds as PX"

METHODS: dict[str, Scorer] = {
    s.name: s
    for s in (
        Scorer("magnitude", "|theta_j|", "nothing", _magnitude, published="the baseline of arXiv 2009.08576"),
        Scorer("random", "uniform numbers from the seed", "nothing", _random,
            published="the baseline of arXiv 2009.08576"),
        Scorer("snip", "|theta_j dL/dtheta_j|", "data and labels", _snip, modes=True,
            published="arXiv 1810.02340, released as namhoonlee/snip-public"),
        Scorer("grasp", "theta_j (H g)_j, g and H the gradient and the Hessian of L", "data and labels", _grasp,
            modes=True, statistics="batch", temperature=200.0,
            published="arXiv 2002.07376, released as alecwangcq/GraSP, which takes the batch in two halves"),
        Scorer("synflow", "sum of |v_p| over the paths through j", "shape", lambda t: _flow(t, 1), paths=True, power=1,
            rounds=ITERATED, published=SYNFLOW),
        Scorer("synflow-l2", "sum of v_p^2 over the paths through j", "shape", lambda t: _flow(t, 2), paths=True,
            power=2, rounds=ITERATED, published=f"as SynFlow, {SYNFLOW}"),
        Scorer("px", "sum over outputs of D_k times the sum of v_p^2 over the paths through j to k", "data", _px,
            paths=True, power=2, rounds=ITERATED, published=PX),
        Scorer("px-frozen", "px with D_k of the dense network in every round", "data", _px_frozen, paths=True, power=2,
            rounds=ITERATED, published=OURS),
        Scorer("px-released", "px as its public code computes it (see `verify.networks.scores.released`)", "data",
            _released, statistics="batch", rounds=ITERATED, published=PX),
        Scorer("path-energy", "sum over samples of the squares of what the paths through j add to the output",
            "data", _path_energy, paths=True, rounds=ITERATED, published=OURS),
        Scorer("px-per-sample", "px with the gates of each sample in both factors of the bound", "data",
            _px_per_sample, paths=True, rounds=ITERATED, published=OURS),
        Scorer("ntk-sap", "|d/dm_j of |f(x; m theta) - f(x; m (theta + perturbation))|^2| at Gaussian inputs", "shape",
            _ntk_sap, modes=True, statistics="held", rounds=20,
            published="arXiv 2304.02840, released as YiteWang/NTK-SAP, which draws 5 sets of weights a round"),
    )
}  # fmt: skip
"""Every method by name."""

PATHS = tuple(s.name for s in METHODS.values() if s.power is not None)
"""Methods whose rounds can be compiled."""


def methods() -> tuple[Scorer, ...]:
    """Every method of scoring, with what it computes and needs."""
    return tuple(METHODS.values())


def scorer(name: str) -> Scorer:
    """The method of this name.

    Raises:
        KeyError: there is none; names near misses.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(str(name), METHODS, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise KeyError(f"no method is called {name!r}; {hint}known: {', '.join(METHODS)}")
    return METHODS[name]


# -- what is asked for --------------------------------------------------------------------------------


@untouched
def saliency(
    module: nn.Module, method: str, x: Tensor | None = None, y: Tensor | None = None, **settings: Any
) -> dict[str, Tensor]:
    """The scores of a module's weights, normalisations in evaluation mode.

    Args:
        module: the module; left as it was.
        method: a name from `METHODS`.
        x: inputs (n, ...); for SynFlow, SynFlow-L2 and NTK-SAP only the shape of a sample is read.
        y: labels (n,) for the cross-entropy or targets (n, K) for half the squared error (SNIP, GraSP).
        **settings: see `scores`.

    Returns:
        Scores by parameter name, in the parameters' shapes. The scores of the path methods are those of
        the definition times one common power of two, unless ``rescale=False``.

    Raises:
        KeyError: unknown method; names near misses.
        ValueError: data that the method needs and did not get, or data that cannot be used.
        NotCovered: (path methods) an operation through which there are no paths, or a parameter twice on one.
    """
    return scores(module, method, x, y, **settings).values


@untouched
def scores(
    module: nn.Module, method: str, x: Tensor | None = None, y: Tensor | None = None, *,
    masks: Mapping[str, Tensor] | None = None, scored: str = "weights", biases: bool = True,
    frozen: Tensor | None = None, rescale: bool = True, seed: int = 0, statistics: str | None = None,
    temperature: float | None = None,
) -> Scores:  # fmt: skip
    """`saliency`, with R and D_k beside the scores.

    Args:
        module: the module.
        method: a name from `METHODS`.
        x: inputs.
        y: labels or targets.
        masks: weights that are there (nonzero) and that are not; a masked weight is no edge of the network.
        scored: "weights" (tensors with two axes or more) or "all" parameters.
        biases: whether paths from the constant input (biases, shifts of normalisations) count.
        frozen: D_k to use instead of measuring it ("px-frozen").
        rescale: keep values in range by powers of two; without it float32 overflows on deep networks.
        seed: for "random" and "ntk-sap".
        statistics: of normalisations while scoring, see `STATISTICS`; None: the stored ones, of which the theory is
            (`px-released` has its own), whatever was published.
        temperature: what the outputs are divided by while scoring; None: 1.
    """
    check_data(module, method, x, y)
    own = scorer(method)
    asked = {"statistics": statistics, "temperature": temperature}
    mode = own.definition | {k: v for k, v in asked.items() if v is not None}
    own.check_mode(**mode)
    if masks is not None:
        check_masks(module, masks)
    names = scored_names(module, scored)
    return own.score(Task(module, names, x, y, masks, biases=biases, frozen=frozen, rescale=rescale, seed=seed, **mode))


def scored_names(module: nn.Module, scored: str = "weights") -> list[str]:
    """Names of the scored parameters, in the module's order.

    Raises:
        ValueError: ``scored`` is neither "weights" nor "all", or there is nothing to score.
    """
    if scored not in SCORED:
        raise ValueError(f"scored is one of {', '.join(SCORED)}; got {scored!r}")
    names = [n for n, p in module.named_parameters() if scored == "all" or p.ndim > 1]
    if not names:
        raise ValueError("the module has no weights to score")
    return names


def check_data(module: nn.Module, method: str, x: Tensor | None, y: Tensor | None) -> None:
    """Raise if the method is unknown or the data will not do.

    Raises:
        KeyError: unknown method.
        ValueError: missing, empty or non-finite data, or labels that do not fit.
    """
    needed = scorer(method)
    if x is None and needed.needs_x:
        raise ValueError(f"{method} needs {'the shape of an input' if needed.needs == 'shape' else 'data'}: give x")
    if y is None and needed.needs_y:
        raise ValueError(f"{method} needs labels: give y")
    check_module(module)
    if x is not None:
        check_inputs(x)
        if x.ndim < 2:
            raise ValueError(f"x has shape {tuple(x.shape)}: at least one sample is needed, samples first")
        if y is not None and (not isinstance(y, Tensor) or y.ndim < 1 or len(y) != len(x)):
            count = len(y) if isinstance(y, Tensor) and y.ndim else type(y).__name__
            raise ValueError(f"x has {len(x)} samples and y {count}")
    check_finite(module, x if x is not None else torch.zeros(()), buffers=needed.paths)


def check_masks(module: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Raise if a mask fits no parameter.

    Raises:
        KeyError: a mask for a parameter that there is not.
        ValueError: a mask of the wrong shape.
    """
    known = dict(module.named_parameters())
    for n, m in masks.items():
        if n not in known:
            near = difflib.get_close_matches(n, known, n=1)
            raise KeyError(f"no parameter is called {n!r}{f'; did you mean {near[0]}?' if near else ''}")
        if m.shape != known[n].shape:
            raise ValueError(f"the mask of {n} has shape {tuple(m.shape)}; the parameter {tuple(known[n].shape)}")


@untouched
def activation_per_output(
    module: nn.Module,
    x: Tensor,
    masks: Mapping[str, Tensor] | None = None,
    *,
    biases: bool = True,
    rescale: bool = True,
) -> Scaled:
    """D_k = sum_n sum_{p -> k} a_p(x_n)^2 x_{n,s(p)}^2 over the paths through unmasked weights, shape (K,)."""
    return Task(module, (), x, masks=masks, biases=biases, rescale=rescale).activation_per_output()


@untouched
def live_paths(
    module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None, graph: Graph | None = None
) -> float:
    """log10 of the number of input-output paths through unmasked weights, -inf if there are none.

    Paths from biases do not count: what they carry does not depend on the input.
    """
    with torch.no_grad():
        return _counted(module, x, masks or {}, graph).log10()


@untouched
def on_live_paths(
    module: nn.Module, x: Tensor, masks: Mapping[str, Tensor], *, gates: bool = False
) -> dict[str, Tensor]:
    """For each masked parameter, which of its unmasked weights stand on an input-output path (bool).

    With ``gates`` on one that carries something for some sample: its input is not 0 and its gates are on, in the
    masked module.
    """
    task = Task(module, (), x, masks=masks)
    values = {r: v.double() for r, v in task.values().items()} if gates else None
    graph = task.recorded()
    ones, weights = _ones(module, masks, True)
    with torch.enable_grad():
        walk = Pass(graph, graph.tensors(module, torch.float64), weights, 0, gates=values, slopes=0, constant=False,
                    rescale=True)  # fmt: skip
        start = (x != 0).double() if gates else torch.ones(1, *graph.input_shape, dtype=torch.float64, device=x.device)
        g = gradients(walk.sums(start).value.sum(), [ones[n] for n in masks])
    return {n: m.bool() & (a > 0) for (n, m), a in zip(masks.items(), g, strict=True)}


def _ones(
    module: nn.Module, masks: Mapping[str, Tensor], differentiate: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The masks in float64, and for every parameter 1, or its mask."""
    there = {n: m.to(torch.float64).requires_grad_(differentiate) for n, m in masks.items()}
    every = {n: torch.ones_like(p, dtype=torch.float64, requires_grad=False) for n, p in module.named_parameters()}
    return there, {**every, **there}


def paths_per_output(module: nn.Module, x: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
    """The number of paths from inputs to each output through unmasked weights, up to one power of two; (K,)."""
    with torch.no_grad():
        return _counted(module, x, masks, None).value[0]


def _counted(module: nn.Module, x: Tensor, masks: Mapping[str, Tensor], graph: Graph | None) -> Scaled:
    """How many paths lead to each output, in float64."""
    graph = Task(module, (), x, graph=graph).recorded()
    tensors = graph.tensors(module, torch.float64)
    return flow(graph, tensors, _ones(module, masks, False)[1], 0, constant=False, rescale=True)


@untouched
def constant_on(module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None) -> bool:
    """Whether the masked network gives exactly the same outputs for every sample."""
    with torch.no_grad():
        out = _evaluated(module, Task(module, (), x, masks=masks).theta, x)
    return bool((out == out[:1]).all())


__all__ = [
    "METHODS", "PATHS", "STATISTICS", "Scorer", "Scores", "Task", "activation_per_output", "check_data", "check_masks",
    "constant_on", "live_paths", "methods", "on_live_paths", "paths_per_output", "saliency", "scored_names",
    "scorer", "scores",
]  # fmt: skip
