"""The checker's part on sums of logarithms: `K + sum_f c_f log |f|`, bounded below by `K + sum_m m (1 - t_m)`.

With `t_m = prod_f |f|^(-e_fm)` and `-log t >= 1 - t` that is right if `scale c_f = sum_m m e_fm` for every f, no m is
negative and no f is 0. Only the certificate and the checker's own algebra (`verify.proofs.checker.Checker`) are used.
"""

from __future__ import annotations

from typing import Any

from flint import arb, fmpq


def bound_follows(checker: Any, goal: dict[str, Any], p: Any, leaf: dict[str, Any], known: Any) -> str:
    """Why the goal's polynomial is no numerator of a lower bound of its sum; "" if it is."""
    given, read, one = goal["logarithms"], checker.read, checker.algebra.ring.one

    def zero(q: Any) -> bool:
        return bool(checker._is_zero(q, leaf, known))

    coefficients = {read(f): (read(num), read(den)) for f, num, den in given["coefficients"]}
    constant = tuple(map(read, given["constant"]))
    if "terms" not in given:  # all coefficients are 0
        if p or not zero(constant[0]) or not all(zero(num) for num, _ in coefficients.values()):
            return "logarithms that do not cancel"
        return ""
    scale = read(given["scale"])
    if checker.algebra.signs(scale, known) != {1}:
        return "a scale that is not positive"
    found = dict.fromkeys(coefficients, checker.algebra.ring.zero)
    absolute, above, below = {}, [], one
    powers: dict[Any, int] = {}
    for text, factors in given["terms"]:
        m = read(text)
        if not checker.algebra.signs(m, known) <= {0, 1}:
            return "the coefficient of a logarithm that may be negative"
        for f, e in factors:
            if read(f) not in found:
                return "a logarithm that is not in the sum"
            found[read(f)] += m * e
            powers[read(f)] = max(powers.get(read(f), 0), e)
        above.append((m, {read(f): e for f, e in factors}))
    for f, (num, den) in coefficients.items():
        if not zero(num * scale - den * found[f]):
            return "coefficients that do not add up"
        signs = checker.algebra.signs(f, known)
        if f in powers and (len(signs) > 1 or 0 in signs):
            return "the logarithm of what may be 0"
        absolute[f] = -f if signs == {-1} else f
    for f, e in powers.items():
        below *= absolute[f] ** e
    total = constant[0] * scale * below
    for m, exponents in above:
        t = one
        for f, e in powers.items():
            t *= checker.algebra._power(absolute[f], e - exponents.get(f, 0))
        total += constant[1] * m * (below - t)
    gap = checker.algebra.reduced(total * constant[1] * below, leaf)
    same = checker._same_sign(gap, p, leaf, known)
    return "" if same else "a polynomial that is not the bound of its sum"


def gap_at(checker: Any, goal: dict[str, Any], at: dict[str, Any]) -> arb:
    """The sum at a point, as a ball."""
    given, value = goal["logarithms"], checker.algebra.value

    def quotient(num: str, den: str) -> Any:
        return value(checker.read(num), at) / value(checker.read(den), at)

    out = arb(quotient(*given["constant"]))
    for f, num, den in given["coefficients"]:
        c: fmpq = quotient(num, den)
        if c != 0:
            out += c * arb(abs(value(checker.read(f), at))).log()
    return out
