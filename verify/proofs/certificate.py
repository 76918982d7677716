"""Proofs as JSON: shapes, trees of decisions, and for each path its facts and how its goals were closed.

What `verify.proofs.checker` reads. Polynomials are text in the variables of the shape; an instance of the shape is
written once, with the number of a variable in the place of each number.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from theory.claims import Claim
from verify.certificates import digest
from verify.proofs.goals import Closed, Term
from verify.proofs.logarithms import Bound, Logarithms
from verify.proofs.polynomials import Signs, Space
from verify.proofs.proving import Goal, Leaf, Proof, ShapeProof
from verify.proofs.symbols import Quotient, expanded

FORMAT = "pruning-theorems proof 1"


def certificate(claim: Claim, proof: Proof, dropped: tuple[str, ...] = ()) -> dict[str, Any]:
    """The certificate of a proof: of the shapes that were proved.

    Raises:
        ValueError: no shape was proved.
    """
    proved = [s for s in proof.shapes if s.verdict == "proved"]
    if not proved:
        raise ValueError(f"{claim.id}: no shape was proved, there is nothing to certify")
    body = {
        "format": FORMAT,
        "claim": claim.id,
        "statement": claim.title,
        "without": list(dropped),
        "level": proof.level,
        "shapes": [_shape(s) for s in proved],
    }
    return {**body, "digest": digest(body)}


def _shape(done: ShapeProof) -> dict[str, Any]:
    assert done.shape is not None
    assert done.space is not None
    instance = done.shape.instance(list(range(done.space.count)))
    template: dict[str, Any] = {}
    for f in dataclasses.fields(instance):
        value = getattr(instance, f.name)
        if "axes" in f.metadata and value is not None:
            template[f.name] = _numbered(instance, f.name, value)
        else:
            template[f.name] = value.to_json() if hasattr(value, "to_json") else value
    return {
        "name": done.name,
        "setting": type(instance).__name__,
        "instance": template,
        "arrays": {name: list(shape) for name, shape in done.shape.arrays.items()},
        "variables": list(done.space.names[: done.space.count]),
        "generators": list(done.space.names),
        "tree": _tree(done.space, done.leaves, 0),
    }


def _numbered(instance: Any, name: str, value: Any) -> Any:
    """Numbers of variables as text, other numbers as ``{"value": ...}``: fixed entries are no symbols."""
    symbolic = np.asarray(value, dtype=object)
    out = np.empty(symbolic.shape, dtype=object)
    for index, v in np.ndenumerate(symbolic):
        out[index] = v if type(v) is int else {"value": str(v)}
    return out.tolist()


def _tree(space: Space, leaves: list[Leaf], depth: int) -> dict[str, Any]:
    """The paths as a tree; siblings share the decisions before ``depth``."""
    first = leaves[0].path.world.trail
    if len(first) == depth:
        assert len(leaves) == 1, "a path ends where another goes on"
        return _leaf(space, leaves[0])
    d = first[depth]
    yes = [leaf for leaf in leaves if leaf.path.world.trail[depth].answer]
    no = [leaf for leaf in leaves if not leaf.path.world.trail[depth].answer]
    return {
        "polynomial": str(d.polynomial),
        "yes": sorted(d.yes),
        "no": sorted(d.no),
        "then": _tree(space, yes, depth + 1),
        "else": _tree(space, no, depth + 1),
    }


def _leaf(space: Space, leaf: Leaf) -> dict[str, Any]:
    world = leaf.path.world
    out: dict[str, Any] = {
        "state": leaf.state,
        "facts": [[str(f), sorted(s)] for f, s in world.conditions()],
        "substitutions": [[space.names[v], str(num), str(den)] for v, num, den in world.substitutions],
        "roots": [[space.names[v], str(g), degree] for v, g, degree in world.roots],
        "goals": [_goal(space, g) for g in leaf.goals],
    }
    if leaf.contradiction:
        out["contradiction"] = [_term(space, t) for t in leaf.contradiction]
    return out


def _goal(space: Space, goal: Goal) -> dict[str, Any]:
    assert goal.closed is not None
    out: dict[str, Any] = {"name": goal.name, "kind": goal.kind, "polynomial": str(goal.polynomial)}
    if goal.sum is not None:
        out["logarithms"] = _logarithms(goal.sum, goal.bound)
    else:
        out["lhs"], out["rhs"] = _number(goal.lhs), _number(goal.rhs)
    out["closed"] = _closed(space, goal.closed)
    return out


def _logarithms(total: Logarithms, bound: Any) -> dict[str, Any]:
    out: dict[str, Any] = {
        "constant": _number(total.constant),
        "coefficients": [[str(f), *n] for f, c in total.coefficients.values() if (n := _number(c))[0] != "0"],
    }
    if isinstance(bound, Bound):
        out["scale"] = str(bound.scale)
        out["terms"] = [[str(m), [[str(f), e] for f, e in powers]] for m, powers in bound.terms]
    return out


def _number(value: Any) -> list[str]:
    if isinstance(value, Quotient):
        return [str(value.num), str(expanded(value.den)) if value.den else "1"]
    return [str(value), "1"]


def _closed(space: Space, closed: Closed) -> dict[str, Any]:
    out: dict[str, Any] = {"method": closed.method}
    if closed.signs:
        out["signs"] = [[str(f), e, _signs(s)] for f, e, s in closed.signs]
    if closed.target is not None:
        out["target"] = str(closed.target)
    if closed.terms:
        out["terms"] = [_term(space, t) for t in closed.terms]
    if closed.parts:
        out["variable"] = _monomial(space, closed.variable)
        out["parts"] = [[str(p), _closed(space, c)] for p, c in closed.parts]
    return out


def _signs(signs: Signs) -> list[int]:
    return sorted(signs)


def _term(space: Space, term: Term) -> dict[str, Any]:
    out: dict[str, Any] = {"coefficient": str(term.coefficient)}
    if term.facts:
        out["facts"] = [[str(f), s] for f, s in term.facts]
    out["monomial"], out["sign"] = _monomial(space, term.monomial), term.sign
    if term.square is not None:
        u, v, ratio = term.square
        out["square"] = [_monomial(space, u), _monomial(space, v), str(ratio)]
    return out


def _monomial(space: Space, m: tuple[int, ...]) -> str:
    return "*".join(f"{space.names[v]}^{e}" for v, e in enumerate(m) if e) or "1"
