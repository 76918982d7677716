"""An independent check of proof certificates: sympy for algebra, the claim itself at points, nothing of the prover.

Exactly: siblings' signs do not overlap, and what they leave out was excluded; substitutions satisfy the equalities
they come from; every goal is the numerator of rhs - lhs after the substitutions; every identity, sign and combination
that closes one holds, given the facts of its path. At random exact points, with zeros and ties: each lies on one path,
the path's facts hold, the claim is in the stated state, and its sides are the stated ones. Points alone stand for what
is counted so (signs and paths excluded by consequences of substitutions). Sums of logarithms are not expanded, and
goals of a solver are trusted: both are counted.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, fmpq
from sympy import QQ, ring

from theory.claims import Claim, claim_named
from theory.instances import setting_named
from theory.relations import Verdict, decide
from verify.certificates import digest
from verify.proofs import logarithm_checks

WANTED = {"<=": {0, 1}, "<": {1}, "==": {0}, "!=": {-1, 1}}


class ProofError(ValueError):
    """A certificate that proves nothing; the message says why."""


def _need(condition: Any, why: str) -> None:
    if not condition:
        raise ProofError(why)


class Algebra:
    """Polynomials of one shape."""

    def __init__(self, names: list[str]) -> None:
        self.names, (self.ring, *gens) = names, ring(names, QQ)
        self.gens = dict(zip(names, gens, strict=True))
        self.seen: dict[str, Any] = {}

    def read(self, text: str) -> Any:
        """A sum of products of powers, as flint writes it; nothing is executed."""
        if text not in self.seen:
            total = self.ring.zero
            for part in text.replace(" ", "").replace("-", "+-").split("+"):
                if part:
                    term = self.ring(-1 if part[0] == "-" else 1)
                    for factor in part.lstrip("-").split("*"):
                        base, _, power = factor.partition("^")
                        value = self.gens[base] if base in self.gens else self.ring(QQ(*_pair(base)))
                        term *= self._power(value, int(power or 1))
                    total += term
            self.seen[text] = total
        return self.seen[text]

    def reduced(self, p: Any, leaf: dict[str, Any]) -> Any:
        """After the substitutions of a path, times even powers of denominators, and with low powers of roots."""
        for _ in range(64):
            before = p
            for name, num, den in leaf["substitutions"]:
                p = self._replaced(p, name, self.read(num), self.read(den))
            for name, g, degree in leaf["roots"]:
                p = self._lowered(p, name, self.read(g), degree)
            if p == before:
                return p
        raise ProofError("substitutions that do not end")

    def _powers(self, p: Any, name: str) -> dict[int, Any]:
        at = self.names.index(name)
        out: dict[int, Any] = {}
        for m, c in p.terms():
            rest = (*m[:at], 0, *m[at + 1 :])
            out[m[at]] = out.get(m[at], self.ring.zero) + self.ring({rest: c})
        return out

    def _replaced(self, p: Any, name: str, num: Any, den: Any) -> Any:
        parts = self._powers(p, name)
        top = max(parts, default=0)
        top += top % 2
        if not top:
            return p
        return sum((c * self._power(num, k) * self._power(den, top - k) for k, c in parts.items()), self.ring.zero)

    def _power(self, p: Any, e: int) -> Any:
        return p**e if e else self.ring.one  # sympy has no 0**0

    def _lowered(self, p: Any, name: str, g: Any, degree: int) -> Any:
        parts, r = self._powers(p, name), self.gens[name]
        return sum(
            (c * self._power(g, k // degree) * self._power(r, k % degree) for k, c in parts.items()), self.ring.zero
        )

    def signs(self, p: Any, known: dict[Any, set[int]]) -> set[int]:
        """The signs that ``p`` may have, by what is known of it and of the variables of its terms."""
        out = {0}
        for m, c in p.terms():
            term = {1 if c > 0 else -1}
            for gen, e in zip(self.gens.values(), m, strict=True):
                if e:
                    term = {s * t**e for s in term for t in known.get(gen, {-1, 0, 1})}
            out = {x for s in out for t in term for x in ({s or t} if not s * t or s == t else {-1, 0, 1})}
        return out & known.get(p, {-1, 0, 1})

    def contradicts(self, known: Iterable[tuple[Any, set[int]]]) -> bool:
        """Whether facts exclude each other: after the equalities that give a variable, by terms and by factors."""
        facts = self._merged(known)
        while solved := next((v for p, s in facts.items() if s == {0} and (v := self._solved(p))), None):
            facts = self._merged((self._replaced(p, *solved, self.ring.one), s) for p, s in facts.items())
        for p, signs in facts.items():
            others = {q: s for q, s in facts.items() if q != p}
            if not signs & self.signs(p, others) & self._signs_of_factors(p, others):
                return True
        return False

    def _merged(self, known: Iterable[tuple[Any, set[int]]]) -> dict[Any, set[int]]:
        """Facts about polynomials that differ by a number as one fact, with leading coefficient 1."""
        out: dict[Any, set[int]] = {}
        for p, signs in known:
            sign, q = (-1 if p and p.LC < 0 else 1), p.monic() if p else p
            out[q] = out.get(q, {-1, 0, 1}) & {sign * s for s in signs}
        return out

    def _signs_of_factors(self, p: Any, merged: dict[Any, set[int]]) -> set[int]:
        if not p:
            return {0}
        number, factors = p.factor_list()
        out = {1 if number > 0 else -1}
        for f, e in factors:
            sign = 1 if f.LC > 0 else -1
            out = {a * (sign * b) ** e for a in out for b in self.signs(f.monic(), merged)}
        return out

    def _solved(self, p: Any) -> tuple[str, Any] | None:
        """A variable that ``p == 0`` gives, and its value; None where none stands alone."""
        for name, gen in self.gens.items():
            parts = self._powers(p, name)
            if max(parts, default=0) == 1 and parts[1].is_ground:
                return name, gen - p.quo_ground(parts[1].LC)
        return None

    def value(self, p: Any, point: dict[str, Any]) -> Any:
        """``p`` at a point of rationals (and balls for roots)."""
        total: Any = fmpq(0)
        for m, c in p.terms():
            term: Any = fmpq(int(c.numerator), int(c.denominator))
            for name, e in zip(self.names, m, strict=True):
                term = term * point[name] ** int(e) if e else term
            total = total + term
        return total


def _pair(text: str) -> tuple[int, int]:
    number = Fraction(text)
    return number.numerator, number.denominator


class Checker:
    """One shape of a certificate."""

    def __init__(self, claim: Claim, shape: dict[str, Any], without: list[str], counts: Counter[str]) -> None:
        self.claim, self.shape, self.counts = claim, shape, counts
        self.kept = [a for a in claim.assumptions if a.name not in without]
        self.algebra = Algebra(shape["generators"])
        self.read = self.algebra.read

    def tree(self, node: dict[str, Any], known: dict[Any, set[int]]) -> None:
        """Siblings partition what is possible, down to the paths."""
        if "state" in node:
            self.leaf(node, known)
            return
        p, yes, no = self.read(node["polynomial"]), set(node["yes"]), set(node["no"])
        _need(yes and no and not yes & no, f"the branches at {node['polynomial']} are no partition")
        missing = {-1, 0, 1} - yes - no
        # What is missing was excluded before, at sight or by what follows from equalities; else the points test it.
        for s in missing & self.algebra.signs(p, known):
            if not self.algebra.contradicts([*known.items(), (p, {s})]):
                self.counts["excluded signs that points test"] += 1
        for branch, signs in (("then", yes), ("else", no)):
            self.tree(node[branch], {**known, p: known.get(p, {-1, 0, 1}) & signs})

    def leaf(self, leaf: dict[str, Any], decided: dict[Any, set[int]]) -> None:
        """The algebra of one path."""
        self.counts["paths"] += 1
        known = {self.read(f): set(s) for f, s in leaf["facts"]}
        if leaf["state"] == "empty" and "contradiction" not in leaf:
            self.empty(leaf, {**known, **decided})
            return
        for p, signs in decided.items():
            if signs == {0}:
                _need(self._is_zero(p, leaf, known), f"{p} is 0 on a path, but not after its substitutions")
        if "contradiction" in leaf:
            total = self._sum(leaf["contradiction"], known)
            _need(self._is_zero(total, leaf, known), "a contradiction that does not add up")
        _need(leaf["state"] != "stated" or leaf["goals"], "a path that states nothing")
        for goal in leaf["goals"]:
            p = self.read(goal["polynomial"])
            if "lhs" in goal:
                (a, b), (c, d) = (map(self.read, goal[side]) for side in ("lhs", "rhs"))
                gap = self.algebra.reduced((c * b - a * d) * b * d, leaf)
                same = self._same_sign(gap, p, leaf, known)
                _need(same is not False, f"{goal['polynomial']} is not rhs - lhs of {goal['name']}")
                if same is None:
                    self.counts["sides with roots, not expanded"] += 1
            if "logarithms" in goal:
                why = logarithm_checks.bound_follows(self, goal, p, leaf, known)
                _need(not why, f"{goal['name']}: {why}")
                self.counts["sums of logarithms"] += 1
            _need("lhs" in goal or "logarithms" in goal, "a goal without its sides")
            self.closed(goal["closed"], p, WANTED[goal["kind"]], leaf, known)

    def empty(self, leaf: dict[str, Any], known: dict[Any, set[int]]) -> None:
        """A path whose conditions exclude each other; where that is not seen, the points must not meet it."""
        reduced = ((self.algebra.reduced(p, leaf), s) for p, s in known.items())
        if not self.algebra.contradicts([*known.items(), *reduced]):
            self.counts["empty paths that points test"] += 1

    def _is_zero(self, p: Any, leaf: dict[str, Any], known: dict[Any, set[int]]) -> bool:
        p = self.algebra.reduced(p, leaf)
        return not p or any(s == {0} and not p.rem(f) for f, s in known.items() if f)

    def _same_sign(self, a: Any, b: Any, leaf: dict[str, Any], known: dict[Any, set[int]]) -> bool | None:
        """Whether a = b times squares and what is positive on the path: a b is, beside known factors, a square.

        None where roots leave it open: factors are not unique then.
        """
        if not a or not b:
            return self._is_zero(a, leaf, known) and self._is_zero(b, leaf, known)
        c, factors = (a * b).factor_list()
        sign = 1 if c > 0 else -1
        for f, e in factors:
            if e % 2:
                signs = self.algebra.signs(f, known)
                signs = signs if len(signs) == 1 else {-s for s in self.algebra.signs(-f, known)}
                if len(signs) > 1 or 0 in signs:
                    return None if leaf["roots"] else False
                sign *= next(iter(signs))
        return sign > 0

    def closed(self, how: dict[str, Any], p: Any, wanted: set[int], leaf: Any, known: dict[Any, set[int]]) -> None:
        """How one goal was closed."""
        method = how["method"]
        self.counts[method] += 1
        if method == "solver":
            return
        if method in ("identity", "constant"):
            signs = {0} if self._is_zero(p, leaf, known) else {1 if p.LC > 0 else -1} if p.is_ground else set()
            _need(signs and signs <= wanted, f"{p} is not what an identity needs")
            return
        product, signs = self.algebra.ring.one, {1}
        for text, e, claimed in how["signs"]:
            f = self.read(text)
            product *= f**e
            _need(self.algebra.signs(f, known) <= set(claimed), f"the sign of {text} does not follow")
            signs = {a * b**e for a in signs for b in claimed}
        ratio = p.LC / product.LC
        _need(p == product * ratio, "factors that do not multiply to their polynomial")
        signs = {a * (1 if ratio > 0 else -1) for a in signs}
        if method == "signs":
            _need(signs <= wanted, f"the signs of the factors of {p} do not give the goal")
            return
        target = self.read(how["target"])
        _need(self._follows(how["signs"], ratio, target, wanted), "the target does not give the goal")
        if method == "combination":
            total, strict = self._sum(how["terms"], known), self.strict
            _need(self._is_zero(total - target, leaf, known), "a combination that does not add up to its target")
            _need(0 in wanted or strict, "a combination that is not positive where it has to be")
            return
        self.split(how, target, leaf, known)

    def _follows(self, signs: Any, ratio: Any, target: Any, wanted: set[int]) -> bool:
        """Whether target >= 0 (> 0) gives the goal."""
        rest, side = self.algebra.ring(1 if ratio > 0 else -1), 1
        for text, e, s in signs:
            f = self.read(text)
            if len(set(s)) < 3 and set(s) != {-1, 1} and (0 in wanted or 0 not in s):
                side *= sum(s) if e % 2 else 1
            elif e % 2:
                rest *= f
            else:
                _need(0 in wanted or 0 not in s, "an even factor that may be 0")
        positive = 1 in wanted if -1 not in wanted or 1 not in wanted else rest * side == target
        return bool(target == rest * side * (1 if positive else -1))

    def split(self, how: dict[str, Any], target: Any, leaf: Any, known: dict[Any, set[int]]) -> None:
        """A discriminant or a conjugate: its parts are the stated ones, and not negative."""
        parts = [self.read(text) for text, _ in how["parts"]]
        if how["method"] == "discriminant":
            powers = self.algebra._powers(target, how["variable"].split("^")[0])
            c, b, a = (powers.get(k, self.algebra.ring.zero) for k in range(3))
            _need(max(powers) == 2, "a discriminant of what is no quadratic")
            expected = [a, c, 4 * a * c - b * b]
        else:
            root = self.read(how["variable"])
            _need(self.algebra.signs(root, known) <= {0, 1}, "a conjugate by what may be negative")
            b = sum((self.algebra.ring({m: k}) for m, k in target.terms()
                     if not self.algebra.ring({m: k}).rem(root)), self.algebra.ring.zero).quo(root)  # fmt: skip
            a = target - b * root
            expected = [b, b * b * root * root - a * a]
        for p, q, (_, sub) in zip(expected, parts, how["parts"], strict=True):
            _need(self.algebra.reduced(p, leaf) == q, "parts that are not those of the target")
            self.closed(sub, q, {0, 1}, leaf, known)

    def _sum(self, terms: Any, known: dict[Any, set[int]]) -> Any:
        """The sum of terms that are not negative; ``strict`` tells whether one of them is positive."""
        total, self.strict = self.algebra.ring.zero, False
        for t in terms:
            c = QQ(*_pair(t["coefficient"]))
            m = self.read(t["monomial"]) * t["sign"]
            zero = any(known.get(self.read(f)) == {0} for f, _ in t.get("facts", ()))
            _need(c > 0, "a coefficient that is not positive")
            signs = {1}
            product = m * c
            facts = t.get("facts", ())
            for f, s in facts:
                product *= self.read(f) * s
            if len(facts) == 2 and facts[0] == facts[1]:
                signs = {a * a for a in self.algebra.signs(self.read(facts[0][0]), known)}
            else:
                for f, s in facts:
                    signs = {a * b * s for a in signs for b in self.algebra.signs(self.read(f), known)}
            signs = {a * b for a in signs for b in self.algebra.signs(m, known)}
            _need(zero or signs <= {0, 1}, "a term that may be negative")
            if "square" in t:
                u, v, ratio = t["square"]
                product *= (self.read(u) + self.read(v) * QQ(*_pair(ratio))) ** 2
            self.strict = self.strict or ("square" not in t and signs == {1})
            total += product
        return total

    # -- points -----------------------------------------------------------------------------------

    def points(self, count: int, rng: random.Random) -> None:
        """The claim itself at random exact points against the path each lies on."""
        for _ in range(count):
            scale = rng.choice((1, 1, 2, 8))
            values = [fmpq(rng.randint(-3, 3), rng.randint(1, scale)) for _ in self.shape["variables"]]
            self.point(dict(zip(self.shape["variables"], values, strict=True)), values)

    def point(self, at: dict[str, Any], values: list[Any]) -> None:
        """One point."""
        node = self.shape["tree"]
        while "state" not in node:
            value = self._value(node["polynomial"], at)
            if value is None:
                return
            sign = 0 if value == 0 else 1 if value > 0 else -1
            _need(sign in node["yes"] or sign in node["no"], f"{values} lies on no path at {node['polynomial']}")
            node = node["then"] if sign in node["yes"] else node["else"]
        state = node["state"]
        self.counts["points"] += 1
        relation = self._relation(values)
        _need(state != "empty", f"{values} lies on a path that is said to be empty")
        if isinstance(relation, str):
            _need(state == relation, f"at {values} the claim is {relation!r}, its path says {state!r}")
            return
        decision = decide(relation)
        said = "undefined" if relation.undefined else "vacuous" if decision.vacuous else "stated"
        _need(said == state, f"at {values} the claim is {said}, its path says {state}")
        _need(state != "stated" or decision.verdict is Verdict.HOLDS, f"{values} refutes the claim")
        if not node["roots"]:
            self.same(node, relation, at)

    def same(self, leaf: dict[str, Any], relation: Any, at: dict[str, Any]) -> None:
        """At a point without roots: the facts hold, and the stated sides are sides of the claim."""
        at = {**at, **{name: fmpq(0) for name in self.algebra.names if name not in at}}
        for text, signs in leaf["facts"]:
            value = self.algebra.value(self.read(text), at)
            _need((value > 0) - (value < 0) in signs, f"the fact on {text} fails at {at}")
        sides: set[tuple[str, str, str]] = set()
        gaps: list[tuple[str, Any]] = []
        for part in relation.parts:
            pairs = np.broadcast_arrays(np.asarray(part.lhs, dtype=object), np.asarray(part.rhs, dtype=object))
            for a, b in zip(pairs[0].ravel(), pairs[1].ravel(), strict=True):
                sides.add((part.kind, str(a), str(b)))
                gaps.append((part.kind, b - a))
        for goal in leaf["goals"]:
            if "lhs" in goal:
                four = [self.algebra.value(self.read(text), at) for side in ("lhs", "rhs") for text in goal[side]]
                values = (four[0] / four[1], four[2] / four[3])
                _need((goal["kind"], *map(str, values)) in sides, f"{goal['name']} has other sides at {at}")
            else:
                gap = logarithm_checks.gap_at(self, goal, at)
                met = any(kind == goal["kind"] and gap.overlaps(arb(found)) for kind, found in gaps)
                _need(met, f"{goal['name']} has another sum of logarithms at {at}")

    def _value(self, text: str, at: dict[str, Any]) -> Any:
        """A decision's polynomial at a point; None where it has a root (its radicand is that of a later path)."""
        p = self.read(text)
        used = {n for m, _ in p.terms() for n, e in zip(self.algebra.names, m, strict=True) if e}
        return self.algebra.value(p, at) if used <= set(at) else None

    def _relation(self, values: list[Any]) -> Any:
        """The claim at a point: a relation, or why it does not apply."""

        def filled(entry: Any) -> Any:
            if isinstance(entry, list):
                return [filled(e) for e in entry]
            return entry["value"] if isinstance(entry, dict) else str(values[entry])

        body = {name: filled(v) if name in setting_named(self.shape["setting"]).arrays() and v is not None else v
                for name, v in self.shape["instance"].items()}  # fmt: skip
        instance = setting_named(self.shape["setting"]).from_json(body)
        try:
            if not bool(np.all(instance.valid())):
                return "the numbers are no instance"
            for a in self.kept:
                if not bool(np.all(a.predicate(instance))):
                    return f"not {a.name}"
        except ZeroDivisionError:
            return "undefined"
        relation = self.claim.check(instance)
        return "undefined" if relation.undefined else relation


def check_proof(body: dict[str, Any], points: int = 50, seed: int = 0) -> Counter[str]:
    """Check a certificate; counts of what was checked, by what closed it.

    Raises:
        ProofError: it proves nothing, or was altered.
    """
    try:
        _need(body.get("digest") == digest(body), "the digest does not match: altered after it was written")
        counts: Counter[str] = Counter()
        claim = claim_named(body["claim"])
        for shape in body["shapes"]:
            checker = Checker(claim, shape, body["without"], counts)
            checker.tree(shape["tree"], {})
            checker.points(points, random.Random(seed))
            counts["shapes"] += 1
        return counts
    except (KeyError, TypeError, IndexError, AttributeError, json.JSONDecodeError) as e:
        raise ProofError(f"not a proof: {type(e).__name__} {e}") from None


__all__ = ["ProofError", "arb", "check_proof"]
