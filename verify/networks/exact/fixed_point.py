r"""Forward evaluation in as many bits as it takes to know every gate, with a rigorous error bound.

Numbers are fixed-point in base $B = 2^{18}$ with balanced digits, one float64 tensor a digit: the value is
$\sum_i d_i B^{t-i}$ with integers $|d_i| \le 2^{17}$. Products of digits summed over a layer's fan-in are
integers below $2^{53}$, so float64 convolutions and matrix products of digit tensors are *exact*, in any
order of summation (the splitting of Ozaki, Ogita, Oishi and Rump, Numerical Algorithms 59, 2012). Only what
is cut off behind the last digit is an error; it is carried along as an absolute bound.

Interval bounds in float64 grow with the product of the layers' absolute row sums, about 20 a layer, which
leaves no gate certain behind some twenty layers. Here that growth only costs digits (`digits_needed`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flint
import torch
import torch.nn.functional as F
from torch import Tensor

from verify.networks.exact.rounding import Kink, forward_errors, ties
from verify.networks.recording.graph import (
    CONVOLUTION,
    GATE,
    LINEAR,
    MATRIX,
    Graph,
    NotCovered,
    Operation,
    Ref,
    replay,
    store,
)
from verify.networks.recording.roundings import SAFE
from verify.networks.recording.walk import Values, Walk
from verify.networks.recording.windows import apply_layer, chosen, fan_in, largest

BITS = 18
BASE = 2.0**BITS
GUARD = 2
"""Digits of a product that are computed beyond those that are kept."""
LIMIT = 2.0**52
READ = 2.0**-50
"""Relative error of reading a number's digits as one float64."""


@dataclass(frozen=True)
class Fixed:
    """A tensor of fixed-point numbers.

    Attributes:
        digits: shape (D, ...), integers of at most 2^17 in size.
        top: the place of the first digit: it counts BASE**top.
        error: absolute error bound of each number, shape (...).
    """

    digits: Tensor
    top: int
    error: Tensor

    def value(self) -> Tensor:
        """The numbers in float64, each to a relative error of at most `READ`; signs are right."""
        out = torch.zeros_like(self.digits[0])
        for i in reversed(range(len(self.digits))):
            out = out + self.digits[i] * BASE ** (self.top - i)
        return out

    def places(self, top: int, count: int) -> Tensor:
        """The digits from place ``top`` down, with zeros where there are none."""
        before = top - self.top
        after = count - before - len(self.digits)
        return F.pad(self.digits, [0, 0] * (self.digits.ndim - 1) + [before, max(0, after)])[:count]

    def mapped(self, f: Callable[[Tensor], Tensor]) -> Fixed:
        """The same entries moved or chosen by ``f``, which acts on one tensor."""
        return Fixed(torch.stack([f(d) for d in self.digits]), self.top, f(self.error))


def split(t: Tensor, count: int) -> Fixed:
    """A float64 tensor as fixed-point numbers; exact, or with what lies behind ``count`` digits as the error."""
    largest_ = float(t.abs().max()) if t.numel() else 0.0
    top = math.floor(math.log2(largest_) / BITS) + 1 if largest_ > 0 else 0
    planes, rest = [], t
    for i in range(count + 1):
        unit = BASE ** (top - i)
        digit = torch.round(rest / unit)
        planes.append(digit)
        # Exact: both are multiples of the same unit, and the difference is no longer than the rest.
        rest = rest - digit * unit
        if not bool(rest.any()):
            break
    return _trimmed(torch.stack(planes), top, rest.abs(), count)


def _trimmed(digits: Tensor, top: int, error: Tensor, count: int) -> Fixed:
    """Without leading digits that are 0 everywhere, and cut to ``count`` digits."""
    while len(digits) > 1 and not bool(digits[0].any()):
        digits, top = digits[1:], top - 1
    if len(digits) > count:
        # Balanced digits behind the last one sum to little more than half of it; where there are none, nothing is lost.
        error = (error + 0.51 * BASE ** (top - count + 1) * (digits[count:] != 0).any(0)) * SAFE
        digits = digits[:count]
    return Fixed(digits, top, error)


def carried(places: Sequence[Tensor], top: int, error: Tensor, count: int) -> Fixed:
    """Integers at the places from ``top`` down, each below `LIMIT`, as balanced digits."""
    planes = list(places)
    for i in reversed(range(1, len(planes))):
        carry = torch.round(planes[i] / BASE)
        planes[i] = planes[i] - carry * BASE
        planes[i - 1] = planes[i - 1] + carry
    while bool((planes[0].abs() > BASE / 2).any()):
        carry = torch.round(planes[0] / BASE)
        planes[0] = planes[0] - carry * BASE
        planes.insert(0, carry)
        top += 1
    return _trimmed(torch.stack(planes), top, error, count)


def constants(numbers: Sequence[Any], shape: Sequence[int], count: int) -> Fixed:
    """Balls or fractions (`flint.arb`) as fixed-point numbers of ``count`` digits, shape ``shape``."""
    balls = [flint.arb(n) for n in numbers]
    high = max((float(abs(b).upper()) for b in balls), default=0.0)
    top = math.floor(math.log2(high) / BITS) + 1 if high > 0 else 0
    last = top - count + 1
    digits = torch.zeros(count, len(balls), dtype=torch.float64)
    error = torch.zeros(len(balls), dtype=torch.float64)
    for j, ball in enumerate(balls):
        mantissa, exponent = (int(v) for v in ball.mid().man_exp())
        shift = exponent - BITS * last
        whole = mantissa << shift if shift >= 0 else (mantissa + (1 << (-shift - 1))) >> -shift
        cut = 0.0 if shift >= 0 else 0.51 * BASE**last
        error[j] = (float(ball.rad()) * (1 + READ) + cut) * SAFE
        for i in reversed(range(count)):
            low = (whole + 2 ** (BITS - 1)) % 2**BITS - 2 ** (BITS - 1)
            digits[i, j], whole = low, (whole - low) >> BITS
        if whole:
            raise ValueError("a constant does not fit its digits")
    return _trimmed(digits.reshape(count, *shape), top, error.reshape(tuple(shape)), count)


def sum_of(terms: Sequence[Fixed], count: int, signs: Sequence[float] = ()) -> Fixed:
    """The sum of numbers of shapes that broadcast."""
    top = max(t.top for t in terms)
    length = max(top - t.top + len(t.digits) for t in terms)
    signs = signs or [1.0] * len(terms)
    planes = [t.places(top, length) for t in terms]
    whole, error = [torch.zeros(())] * length, torch.zeros((), dtype=torch.float64)
    for term, plane, sign in zip(terms, planes, signs, strict=True):
        whole = [w + sign * p for w, p in zip(whole, plane, strict=True)]
        error = (error + term.error) * SAFE
    return carried(whole, top, error.expand(whole[0].shape), count)


def _products(a: Fixed, w: Fixed, count: int, multiply: Callable[[Tensor, Tensor], Tensor], fan: int) -> Any:
    """(integers place by place, first place, bound on what is left out) of a bilinear map of digits."""
    if min(len(a.digits), len(w.digits)) * fan * 2.0 ** (2 * BITS - 2) >= LIMIT:
        raise ValueError(f"sums of {fan} products are too long for exact digits")
    places, wanted = [], min(count + GUARD, len(a.digits) + len(w.digits) - 1)
    for t in range(wanted):
        pairs = [(t - i, i) for i in range(len(w.digits)) if 0 <= t - i < len(a.digits)]
        places.append(sum(multiply(a.digits[j], w.digits[i]) for j, i in pairs))
    left = len(a.digits) + len(w.digits) - 1 - wanted
    top = a.top + w.top
    dropped = left and 1.01 * len(w.digits) * fan * 2.0 ** (2 * BITS - 2) * BASE ** (top - wanted)
    return places, top, dropped


def product(a: Fixed, c: Fixed, count: int) -> Fixed:
    """Entrywise product with constants ``c``, whose shape broadcasts to that of ``a``."""
    places, top, dropped = _products(a, c, count, torch.mul, 1)
    size, factor = a.value().abs() * (1 + READ), c.value().abs() * (1 + READ)
    error = (a.error * (factor + c.error) + size * c.error + dropped * (size > 0)) * SAFE
    return carried(places, top, error, count)


class Evaluation(Walk):
    """A recorded module evaluated in digits.

    Args:
        graph: the record.
        tensors: its tensors in float64, taken to be exact.
        count: digits to keep.
        gates: forward values whose signs and maxima are the gates, in place of those met on the way.
        constant: whether biases and shifts count.
    """

    def __init__(
        self, graph: Graph, tensors: Mapping[str, Tensor], count: int, *,
        gates: Mapping[Ref, Tensor] | None = None, constant: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(graph, tensors)
        self.count, self.gates, self.constant = count, gates, constant
        self.kinks: list[Kink] = []

    def evaluate(self, x: Tensor) -> tuple[dict[Ref, Tensor], dict[Ref, Tensor]]:
        """Forward values rounded to float64, and their absolute error bounds (`READ` included).

        Raises:
            NotCovered: an operation that has no exact form here; names it.
        """
        last = {r: i for i, op in enumerate(self.graph.operations) for r in op.inputs}
        held: dict[Ref, Any] = {Ref(-1): split(x.double(), max(self.count, 4))}
        values, errors = {Ref(-1): x.double()}, {Ref(-1): torch.zeros_like(x, dtype=torch.float64)}
        for i, op in enumerate(self.graph.operations):
            store(held, i, self.step(i, op, held))
            for r in [r for r in held if r.index == i]:
                values[r] = held[r].value()
                errors[r] = (held[r].error + READ * values[r].abs()) * SAFE
            for r in op.inputs:
                if last[r] == i and r in held:
                    del held[r]
        return values, errors

    def normalisation(self, op: Operation, held: Values) -> Fixed:
        """An affine map with constants from ball arithmetic."""
        scale, shift = self._affine(op)
        scaled = product(held[op.inputs[0]], scale, self.count)
        return sum_of([scaled, shift], self.count) if self.constant else scaled

    def average(self, op: Operation, held: Values) -> Fixed:
        """Sums of digits, times the shares as constants."""
        a, divisor, count = held[op.inputs[0]], op.settings["divisor"].double(), self.count
        # Sums of digits are integers; the average of them is within far less than 1/2 of a multiple.
        sums = torch.stack([torch.round(self._replayed(op, d) * divisor) for d in a.digits])
        error = (self._replayed(op, a.error) * divisor * SAFE).expand(sums[0].shape)
        total = carried(list(sums), a.top, error, count + 1)
        with _precision(count):
            shares = [flint.arb(1) / int(d) for d in divisor.reshape(-1)]
        return product(total, constants(shares, divisor.shape, count), count)

    def add(self, op: Operation, held: Values) -> Fixed:
        """A sum, or a difference."""
        terms = [held[r] for r in op.settings["terms"]] * (2 if len(op.settings["terms"]) == 1 else 1)
        return sum_of(terms, self.count, op.settings.get("signs", ()))

    def scale(self, op: Operation, held: Values) -> Fixed:
        """A product with one constant."""
        factor = constants([flint.arb(op.settings["factor"])], (), self.count)
        return product(held[op.inputs[0]], factor, self.count)

    def product(self, op: Operation, held: Values) -> Fixed:
        """Entry by entry."""
        return product(held[op.inputs[0]], split(self.tensors[op.settings["weight"]].double(), self.count), self.count)

    def shift(self, op: Operation, held: Values) -> Fixed:
        """Entry by entry."""
        a, bias = held[op.inputs[0]], split(self.tensors[op.settings["bias"]].double(), self.count)
        signs = op.settings.get("signs", (1.0, 1.0))
        if not self.constant:
            return Fixed(a.digits * signs[0], a.top, a.error)
        return sum_of([a, bias.mapped(lambda t: t.expand(a.error.shape))], self.count, signs)

    def unknown(self, op: Operation, held: Values) -> Any:
        """Constants are not among what is evaluated."""
        raise NotCovered(op.where, op.name, "has no rounding bound", "fixed-point evaluation")

    def _replayed(self, op: Operation, a: Tensor) -> Any:
        return replay(op, self.tensors, {op.inputs[0]: a}, len(a))

    def layer(self, op: Operation, held: Values) -> Fixed:
        """Exact products of digits."""
        a, weight, count = held[op.inputs[0]], self.tensors[op.settings["weight"]], self.count
        w, fan = split(weight, count), fan_in(op, weight)
        places, top, dropped = _products(a, w, count, lambda d, v: apply_layer(op, d, v, None), fan)
        error = apply_layer(op, a.error, weight.abs(), None) * SAFE
        if dropped:
            # A sum of nothing but zeros is 0.
            error = error + dropped * (apply_layer(op, a.value().abs(), weight.abs(), None) > 0)
        if bool(w.error.any()):
            error = error + float(w.error.max()) * fan * float((a.value().abs() + a.error).max()) * SAFE
        out = carried(places, top, error * SAFE, count)
        if op.settings["bias"] is None or not self.constant:
            return out
        bias = self.tensors[op.settings["bias"]]
        shape = (-1, *[1] * (len(op.shape) - 2)) if "stride" in op.settings else (-1,)
        return sum_of([out, split(bias.reshape(shape), count)], count)

    def _affine(self, op: Operation) -> tuple[Fixed, Fixed]:
        s = op.settings
        shape = (-1, *[1] * (len(op.shape) - 2))
        mean, variance = self.tensors[s["mean"]].tolist(), self.tensors[s["variance"]].tolist()
        ones, zeros = [1.0] * len(mean), [0.0] * len(mean)
        gain = ones if s["weight"] is None else self.tensors[s["weight"]].tolist()
        bias = zeros if s["bias"] is None else self.tensors[s["bias"]].tolist()
        with _precision(self.count):
            scale = [
                flint.arb(g) / (flint.arb(v) + flint.arb(s["eps"])).sqrt() for g, v in zip(gain, variance, strict=True)
            ]
            shift = [flint.arb(b) - flint.arb(m) * c for b, m, c in zip(bias, mean, scale, strict=True)]
            sizes = (len(mean), *shape[1:])
            return constants(scale, sizes, self.count), constants(shift, sizes, self.count)

    def gate(self, op: Operation, held: Values) -> Fixed:
        """Digits where the gate is on; those of the slope's product elsewhere."""
        a = held[op.inputs[0]]
        v, slope = a.value(), op.settings["slope"]
        if self.gates is not None:
            v = self.gates[op.inputs[0]]
            a = Fixed(a.digits, a.top, a.error) if slope else Fixed(a.digits, a.top, a.error * (v > 0))
        open_ = v.abs() <= a.error if self.gates is None else torch.zeros_like(v, dtype=torch.bool)
        if bool(open_.any()):
            self.kinks.append(Kink(op.label, int(open_.sum()), v.numel(), int((open_ & (a.error > 0)).sum())))
        on = (v > 0).double()
        if slope == 0:
            error = a.error if self.gates is not None else torch.where(v > -a.error, a.error, 0.0)
            return Fixed(a.digits * on, a.top, error)
        scaled = product(a, constants([flint.arb(slope)], (), self.count), self.count)
        top = max(a.top, scaled.top)
        length = max(top - t.top + len(t.digits) for t in (a, scaled))
        picked = a.places(top, length) * on + scaled.places(top, length) * (1 - on)
        # Where the gate is open, either branch is within the larger bound of 0.
        error = torch.where(open_, torch.maximum(2 * a.error, 2 * abs(slope) * a.error), 0.0)
        error = torch.maximum(error, torch.where(v > 0, a.error, scaled.error))
        return _trimmed(picked, top, error, self.count)

    def maximum(self, op: Operation, held: Values) -> Fixed:
        """The digits of the entry that is the largest."""
        a, s = held[op.inputs[0]], op.settings
        if self.gates is not None:
            _, where = largest(self.gates[op.inputs[0]], s)
            return a.mapped(lambda t: chosen(t, where))
        v = a.value()
        source = op.inputs[0].index >= 0 and self.graph.operations[op.inputs[0].index].kind == GATE
        self.kinks += ties(op, v, a.error + READ * v.abs(), source)
        _, where = largest(v, s)
        # An entry that loses by less than float64 shows may be the larger one by as much.
        error = largest(a.error + 2 * READ * v.abs(), s)[0]
        exact = largest(a.error, s)[0] if not self.kinks else None
        digits = torch.stack([chosen(d, where) for d in a.digits])
        return Fixed(digits, a.top, error if exact is None else exact)

    def shape(self, op: Operation, held: Values) -> Any:
        """Digit by digit."""
        inputs = {r: held[r] for r in op.inputs}
        batch = len(next(iter(inputs.values())).error)
        top = max(a.top for a in inputs.values())
        length = max(top - a.top + len(a.digits) for a in inputs.values())
        planes = {r: a.places(top, length) for r, a in inputs.items()}
        made = [replay(op, self.tensors, {r: p[i] for r, p in planes.items()}, batch) for i in range(length)]
        error = replay(op, self.tensors, {r: a.error for r, a in inputs.items()}, batch)
        if isinstance(error, Tensor):
            return Fixed(torch.stack(made), top, error)
        return [Fixed(torch.stack([m[j] for m in made]), top, e) for j, e in enumerate(error)]


class _precision:
    """Ball arithmetic precise enough for constants of ``count`` digits."""

    def __init__(self, count: int) -> None:
        self.bits = BITS * (count + 3)

    def __enter__(self) -> None:
        self.before, flint.ctx.prec = flint.ctx.prec, max(flint.ctx.prec, self.bits)

    def __exit__(self, *_: object) -> None:
        flint.ctx.prec = self.before


def digits_needed(values: Mapping[Ref, Tensor], errors: Mapping[Ref, Tensor]) -> int:
    """How many digits make every value certain to about 2^-45 of its layer's size, from float64 error bounds."""
    worst = 1.0
    for r, e in errors.items():
        size = float(values[r].abs().mean())
        if size > 0:
            worst = max(worst, float(e.max()) / size)
    growth = math.log2(worst) + 53
    return max(4, math.ceil((growth + 70) / BITS))


def work(graph: Graph, tensors: Mapping[str, Tensor], samples: int, count: int) -> float:
    """About how many floating-point operations an evaluation takes."""
    total, tensors = 0.0, graph.with_views(tensors)
    for op in graph.operations:
        if op.kind in (LINEAR, CONVOLUTION, MATRIX):
            total += 2.0 * fan_in(op, tensors[op.settings["weight"]]) * math.prod(op.shape[1:])
    return total * samples * 4 * (count + GUARD)


WORK = 2e11
"""Floating-point operations that `forward` may spend: some ten seconds of one core."""


@dataclass(frozen=True)
class Forward:
    """Forward values in float64 with absolute error bounds.

    Attributes:
        values, errors: by operation.
        kinks: the gates and maxima that are not certain.
        digits: how many digits were needed, 0 where float64 was enough.
    """

    values: dict[Ref, Tensor]
    errors: dict[Ref, Tensor]
    kinks: tuple[Kink, ...]
    digits: int = 0

    @property
    def open(self) -> int:
        """How many gates may be on or off; one whose input is certainly 0 is on its kink, but off."""
        return sum(k.open for k in self.kinks)


def forward(graph: Graph, tensors: Mapping[str, Tensor], x: Tensor, limit: float = WORK) -> Forward:
    """The forward evaluation in float64, or where that leaves gates open in as many digits as they need.

    Args:
        graph: the record.
        tensors: its tensors in float64.
        x: inputs in float64.
        limit: floating-point operations to spend on digits; beyond it gates stay open.

    Raises:
        ValueError: an operation without a rounding bound; names it.
    """
    with torch.no_grad():
        values = graph.run(tensors, x)
        errors, kinks = forward_errors(graph, tensors, values)
        plain = Forward(values, errors, tuple(kinks))
        if not kinks or not bool(torch.isfinite(values[graph.output]).all()):
            return plain
        count = digits_needed(values, errors)
        if work(graph, tensors, len(x), count) > limit:
            return plain
        try:
            evaluation = Evaluation(graph, tensors, count)
            values, errors = evaluation.evaluate(x)
        except ValueError:
            # Sums too long for exact digits, say.
            return plain
    return Forward(values, errors, tuple(evaluation.kinks), count)


__all__ = [
    "WORK", "Evaluation", "Fixed", "Forward", "carried", "constants", "digits_needed", "forward", "product", "split",
    "sum_of", "work",
]  # fmt: skip
