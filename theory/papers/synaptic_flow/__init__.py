r"""Synaptic flow and layer collapse (Tanaka, Kunin, Yamins, Ganguli 2020, arXiv 2006.05467).

Scores of the form $S = \theta \odot \partial R/\partial\theta$, with $R$ a function of the outputs, are
conserved: at units and over cuts. A *layer* of a graph with skips is a cut, a set of edges that every
path from an input (or the constant unit) to an output crosses once. *Layer collapse*: a cut loses all
its weights although the target density still allows a whole path. SynFlow:
$R = \sum_p |v_p|$, the network with weights $|\theta|$ on the input of ones.
"""

from theory.papers.synaptic_flow import (  # isort: skip (the sections of the paper, in its order)
    conservation, collapse, rounds, thresholding, scores, float_range,
)  # fmt: skip

__all__ = ["collapse", "conservation", "float_range", "rounds", "scores", "thresholding"]
