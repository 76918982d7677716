r"""Path eXclusion (Iurada, Ciccone, Tommasi, arXiv 2406.01820).

A piecewise-linear network $f$ with weights $\theta$ on inputs $X$. A path $p$ from an input $s$ to an
output $k$ has the value $v_p$, the product of its weights, and is active, $a_p(x) = 1$, if every ReLU
on it is on: $f^k(x) = \sum_s \sum_{p \in P(s \to k)} v_p(\theta)\, a_p(x, \theta)\, x_s$. Rows of $J_v^f$:
$a_p(x) x_s$ on the paths that end in $k$; $J_\theta^v$: $\partial v_p/\partial\theta_j$; $\Theta = JJ'$ with
$J = \partial f/\partial\theta$. $D_k = \|J_v^{f_k}\|_F^2$, $T_k = \|J_\theta^{v,k}\|_F^2$, $R_k = \sum_{p \to k}
v_p^2$. PX scores a weight by $S_j = \theta_j^2\, \partial_{\theta_j^2} \sum_k D_k R_k$, $D$ held fixed.
"""

from theory.papers.path_exclusion import (  # isort: skip (the sections of the paper, in its order)
    decomposition, bounds, two_passes, smooth_units, scores, collapse, released_code, trace, rounds, descent,
    experiments,
)  # fmt: skip

__all__ = [
    "bounds", "collapse", "decomposition", "descent", "experiments", "released_code", "rounds", "scores",
    "smooth_units", "trace", "two_passes",
]  # fmt: skip
