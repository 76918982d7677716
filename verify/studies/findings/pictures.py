"""The networks of the counterexamples that the findings and the README show, as drawings."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from verify.certificates.drawing import drawable, network_svg
from verify.certificates.second_opinion import pruned
from verify.studies.findings.arithmetic import Written, masked, path_energy
from verify.studies.findings.tables import ROOT
from verify.studies.findings.witness import Witness

FOLDER = ROOT / "docs" / "figures" / "findings"
_SHOWN_SCORES = {"path-exclusion/pruning-keeps-the-trace": "px", "path-exclusion/released-scorer": "px"}
"""Claims about single networks -> the scores that stand in the picture."""


def _scores(instance: dict[str, Any], scorer: str) -> list[Fraction]:
    net = Written(instance)
    if scorer == "path-energy":
        return path_energy(net)
    return net.scores("px" if scorer == "px-frozen" else scorer, net.activation() if scorer.startswith("px") else None)


def pictures(witness: Witness) -> dict[str, tuple[str, str]]:
    """File name -> what it shows in words, and the SVG: the network with its scores, and what pruning leaves of it."""
    instance = witness.load()["instance"]
    if not drawable(instance):
        return {}
    net, stem = Written({"x": [], **instance}), witness.path.stem
    scorer = instance.get("scorer") or _SHOWN_SCORES.get(witness.claim)
    notes = {j: f"score {s}" for j, s in enumerate(_scores(instance, scorer))} if scorer else None
    scored = f" Scores: {', '.join(n.removeprefix('score ') for n in notes.values())}." if notes else ""
    alt = f"The network {net.equations()}.{scored}"
    found = {f"{stem}.svg": (alt, network_svg(instance, alt, notes=notes, standalone=True) + "\n")}
    if instance.get("schedule") == "one-at-a-time" and scorer != "path-energy":
        kept = pruned(instance)
        left = f"What pruning leaves of it: {masked(instance, kept).equations()}."
        found[f"{stem}-pruned.svg"] = (left, network_svg(instance, left, kept=kept, standalone=True) + "\n")
    return found
