"""Why a claim stays open on a module: what says so while it is evaluated, and what is known beforehand."""

from __future__ import annotations

from verify.networks.recording.graph import NotCovered


class Undecided(NotImplementedError):
    """A claim cannot be decided on a module, or the gradient of its margin not be had; the message says why."""


UNDONE = (Undecided, NotCovered)
"""What says that a claim cannot be decided on an instance, for a reason of its own."""
ENUMERATED = "only small piecewise-linear modules are enumerated"

WHY: dict[str, str] = {
    "path-exclusion/chain-rule": "its right side is a sum over all pairs of paths",
    "path-exclusion/kernel-sum-is-over-the-path": "it is about the gradient of single paths",
    "path-exclusion/removal-by-trace-is-best": "it needs one trace for each weight",
    "path-exclusion/trace-gradient-saliency": "it needs one trace for each pair of weights",
    "path-exclusion/trace-preserves-eigenvalues": "it needs one trace and one bound for each weight",
    "path-exclusion/eigenvalue-bounds": "it needs eigenvalues of the whole kernel, of which float64 bounds the trace",
    "path-exclusion/rank-by-weights": "it needs the rank of the whole kernel, which rounding changes",
    "path-exclusion/released-scorer": "released scores are signed sums over paths, which have no rounding bound here",
    "path-exclusion/released-scorer-agrees-without-fc": "released scores are signed sums over paths, which have no "
    "rounding bound here",
    "path-exclusion/bound-keeps-the-largest-eigenvalue": "it needs one trace and one bound for each weight",
    "path-exclusion/kernel-by-matrix": "it is about the matrix of all pairs of paths",
    "path-exclusion/trace-bound-by-operator-norm": "it needs the norm of the matrix of all paths",
    "path-exclusion/kernel-over-distinct-weights": "it needs to know which paths carry the same weights",
    "path-exclusion/layers-by-their-formulas": "it is about the layers that `theory` builds, not about the module",
    "path-exclusion/one-sided-derivatives-are-quotients": "it is about steps along each weight by itself",
    "synaptic-flow/neuron-conservation": "it is about the signed scores at single units",
}
"""Why a claim about networks has no form."""
NOTHING = {"path-exclusion/kinks": "off kinks the two sides are the same numbers, and float64 finds no instance on one"}
"""Why there is nothing to test of a claim on a module that is not enumerated."""


__all__ = ["ENUMERATED", "NOTHING", "UNDONE", "WHY", "Undecided"]
