"""The last resort: an SMT solver for nonlinear real arithmetic (z3), if it is installed.

Its "unsatisfiable" leaves nothing that can be checked: such goals are listed as trusted. Its models are proposals:
made rational they are decided like any instance. Work is bounded by z3's own resource count, not by time.
"""

from __future__ import annotations

from typing import Any

from flint import fmpq

from verify.proofs.polynomials import Signs
from verify.proofs.sampling import exactly_at
from verify.proofs.world import World


def available() -> bool:
    """Whether z3 is installed."""
    try:
        import z3  # noqa: F401
    except ImportError:
        return False
    return True


def ask(world: World, p: Any, wanted: Signs, work: int) -> bool | list[fmpq] | None:
    """Whether ``p`` has a sign in ``wanted`` on the path: True, a point where it has not, or None (not known).

    Args:
        world: the path.
        p: a reduced polynomial.
        wanted: signs.
        work: z3's resource limit.
    """
    if not available():
        return None
    import z3

    names = [z3.Real(name) for name in world.space.names]
    solver = z3.SolverFor("QF_NRA")
    solver.set("rlimit", work)
    for f, signs in world.conditions():
        solver.add(_has(z3, _expression(z3, names, f), signs))
    for v, g, degree in world.roots:
        solver.add(names[v] ** degree == _expression(z3, names, g))
    solver.add(z3.Not(_has(z3, _expression(z3, names, p), wanted)))
    answer = solver.check()
    if answer == z3.unsat:
        return True
    if answer != z3.sat:
        return None
    model = solver.model()
    return exactly_at(world, [_rational(z3, model.eval(name, model_completion=True)) for name in names])


def _expression(z3: Any, names: list[Any], p: Any) -> Any:
    terms = []
    for exponents, c in zip(p.monoms(), p.coeffs(), strict=True):
        term = z3.RealVal(str(c))
        for v, e in enumerate(exponents):
            for _ in range(int(e)):
                term = term * names[v]
        terms.append(term)
    return z3.Sum(terms) if terms else z3.RealVal(0)


def _has(z3: Any, e: Any, signs: Signs) -> Any:
    return z3.Or([{-1: e < 0, 0: e == 0, 1: e > 0}[s] for s in sorted(signs)])


def _rational(z3: Any, value: Any) -> fmpq:
    if z3.is_algebraic_value(value):
        value = value.approx(20)
    return fmpq(value.numerator_as_long(), value.denominator_as_long())
