"""Laws against weights that may still move: a question of ours beside the paper."""

from __future__ import annotations

import numpy as np

from theory.claims import PROVED, claim
from theory.papers.sketching.assumptions import some_signal
from theory.papers.sketching.transfer import OURS, seen_features_can_be_drawn
from theory.relations import Relation, equal
from theory.sketches import MovingSketch, column


@claim(MovingSketch, PROVED, OURS, assumes=(some_signal, seen_features_can_be_drawn), see="mixture-is-minimax")
def minimax_law_is_unique(i: MovingSketch) -> Relation:
    r"""Against all weights within a given distance of the initial ones, the mixture is the only minimax law.

    If a law costs no more than $(A_0 + F\delta)^2$ at the worst weights of `mixture-is-minimax`, it is the mixture
    with the share $l = F\delta/(A_0 + F\delta)$ of the data law. So an adversary leaves no choice: not magnitude alone
    unless $\delta = 0$, and the more the weights may move, the nearer to the data law.

    Proof. $\sum_i b_i^2/q_i = (\sum_i b_i)^2$ only where $q$ is proportional to $b$ (Cauchy-Schwarz).
    """
    u, v = i.a, i.step * i.f_squared
    share = column(v / (u + v))
    mixture = (1 - share) * i.optimal + share * i.data_law
    best = np.asarray(i.weighted_norm(i.p, i.worst()) <= (u + v) ** 2, dtype=bool)
    return equal(i.p, mixture).when(best[..., None])
