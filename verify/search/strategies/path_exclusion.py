"""Settings of their own in the path-exclusion paper: smooth units, batch normalisation, guarded runs, descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.descent import KernelDescent
from theory.guarded import GuardedRun
from theory.released import NormalisedNetwork
from theory.smooth import UNITS, SmoothNetwork
from verify.search.strategies import draws
from verify.search.strategies.choosers import Chooser
from verify.search.strategies.pruning import BEYOND_RUNS, pruning_run


@draws(SmoothNetwork, beyond={"units": UNITS, "samples": 3})
def smooth_network(c: Chooser, *, units: Sequence[str] = UNITS, samples: int = 3) -> SmoothNetwork:
    """One or two hidden layers of one to three units."""
    widths = (c.integer(1, 2), *(c.integer(1, 3) for _ in range(c.integer(1, 2))), c.integer(1, 2))
    net = SmoothNetwork(widths, c.pick(units), np.zeros(1), np.zeros((1, 1))).network
    return SmoothNetwork(
        widths, c.pick(units), c.numbers((net.parameters,)), c.numbers((c.integer(1, samples), widths[0]))
    )


@draws(NormalisedNetwork, beyond={"blocks": 2, "least_positions": 1, "signed": True, "modes": True})
def normalised_network(
    c: Chooser, *, blocks: int = 1, least_positions: int = 2, signed: bool = False, modes: bool = False
) -> NormalisedNetwork:
    """A stem, up to ``blocks`` residual blocks and a head, one or two channels; ``signed`` numbers D_k as well.

    ``modes``: normalisation by running statistics, activations, and a last layer that reads every position, too.
    """
    channels, blocks, outputs = c.integer(1, 2), c.integer(0, blocks), c.integer(1, 2)
    positions = c.integer(least_positions, 3)
    x = c.numbers((c.integer(1, 2), positions))
    training, activations, pooled = (c.flip(), c.flip(), c.flip()) if modes else (True, False, True)
    empty = NormalisedNetwork(channels, blocks, outputs, training, activations, pooled, x[0], x, x[0])
    theta, d = c.numbers((empty.parameters,)), c.numbers((outputs,)) if signed else c.weights((outputs,))
    return empty.with_(theta=theta, d=d)


@draws(GuardedRun, beyond=BEYOND_RUNS)
def guarded_run(c: Chooser, *, tight: bool = False, **hints: Any) -> GuardedRun:
    """A run of one weight a round; ``tight`` keeps one longest path for each output, where that removes any weight."""
    run = pruning_run(c, **hints)
    keep, enough = run.keep, len(run.network.outputs) * max(run.path_lengths(), default=0)
    if tight and 0 < enough < run.network.parameters:
        keep = enough
    return GuardedRun(run.network, run.theta, run.x, keep, 1, run.scorer)


@draws(KernelDescent)
def kernel_descent(c: Chooser) -> KernelDescent:
    """Two diagonal kernels of one to three eigenvalues."""
    m = c.integer(1, 3)
    eta = c.positives((1,))[..., 0] / 8
    return KernelDescent(
        c.integer(1, 3), c.weights((m,)), c.weights((m,)), c.numbers((m,)), eta if np.ndim(eta) else np.asarray(eta)
    )
