r"""No Free Prune (Kumar, Luo, Sellke, arXiv 2402.01089), known here from a summary ("seed").

Data $D$ with a law, a possibly randomised rule $P(m \mid D)$ over masks of $N$ weights,
$p_{eff} = E\|m\|_0 + I(m; D)$. Memorisation: uniform labels $y$ on $n$ points, $G_m$ the labelings that can be
realised with mask $m$, $p = P(Y \in G_M)$, $q = E|G_M| / 2^n$. Informations are in nats. Every entropy is decided
exactly, equality included (see `theory.information.LogSum`).
"""

from theory.papers.no_free_prune import (  # isort: skip (the sections of the paper, in its order)
    information, noise, counting, memorising, robustness, experiments,
)  # fmt: skip

__all__ = ["counting", "experiments", "information", "memorising", "noise", "robustness"]  # fmt: skip
