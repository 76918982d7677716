"""Evaluation in digits: what it encloses is the exact number, and deep networks have no uncertain gates."""

from fractions import Fraction

import flint
import numpy as np
import pytest
import torch
from torch import nn

from tests.verify.networks.drawn import FAMILIES, module_on_data
from verify.networks import zoo
from verify.networks.exact.fixed_point import (
    BASE,
    Evaluation,
    carried,
    constants,
    digits_needed,
    forward,
    product,
    split,
    sum_of,
    work,
)
from verify.networks.exact.rounding import forward_errors
from verify.networks.exact.to_graph import network_on_data
from verify.networks.recording.record import record


def exact_values(fixed):
    """The numbers of a `Fixed` as fractions."""
    out = []
    for column in fixed.digits.reshape(len(fixed.digits), -1).T.tolist():
        out.append(sum(Fraction(int(d)) * Fraction(int(BASE)) ** (fixed.top - i) for i, d in enumerate(column)))
    return out


def rough(family, seed):
    module, x = module_on_data(family, seed)
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.div_(3 + 4 * (i % 2))
    return module, x / 3


def test_splitting_is_exact():
    t = torch.tensor([1 / 3, -1e5 / 7, 2.0**-40, 0.0, -1.0], dtype=torch.float64)
    assert exact_values(split(t, 8)) == [Fraction(v) for v in t.tolist()]
    assert not split(t, 8).error.any()
    short = split(t, 2)
    for v, e, exact in zip(exact_values(short), short.error.tolist(), t.tolist(), strict=True):
        assert abs(v - Fraction(exact)) <= Fraction(e)
    assert short.error.any()


@pytest.mark.parametrize("count", [2, 3, 9])
def test_sums_products_and_carries_are_enclosed(count):
    rng = np.random.default_rng(0)
    a, b = (torch.as_tensor(rng.standard_normal(20) * 10.0 ** rng.integers(-9, 9)) for _ in range(2))
    fa, fb = split(a, 9), split(b, 9)
    pairs = [(Fraction(x), Fraction(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    for made, exact in (
        (sum_of([fa, fb], count, (1.0, -1.0)), [x - y for x, y in pairs]),
        (product(fa, fb, count), [x * y for x, y in pairs]),
    ):
        for v, e, value in zip(exact_values(made), made.error.tolist(), exact, strict=True):
            assert abs(v - value) <= Fraction(e)
        assert (made.error.any()) == (count < 9)
        assert bool((made.digits.abs() <= BASE / 2).all())
        np.testing.assert_allclose(made.value(), [float(v) for v in exact_values(made)], rtol=1e-15)
    places = [torch.tensor([float(rng.integers(-(2**50), 2**50))]) .double() for _ in range(4)]  # fmt: skip
    whole = sum(Fraction(int(p)) * Fraction(int(BASE)) ** (2 - i) for i, p in enumerate(places))
    assert exact_values(carried(places, 2, torch.zeros(1, dtype=torch.float64), 9)) == [whole]


def test_constants_enclose_their_balls():
    third = flint.arb(1) / 3
    made = constants([third, flint.arb(0.5), flint.arb(-7)], (3,), 3)
    assert abs(exact_values(made)[0] - Fraction(1, 3)) <= Fraction(float(made.error[0]))
    assert exact_values(made)[1:] == [Fraction(1, 2), -7]
    assert made.error.tolist()[1:] == [0.0, 0.0]
    assert made.error[0] > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_are_enclosed_at_any_number_of_digits(family, seed):
    module, x = rough(family, seed)
    graph = record(module, x)
    exact = network_on_data(module, x).outputs()
    for count in (3, 5, 8):
        evaluation = Evaluation(graph, graph.tensors(module, torch.float64), count)
        with torch.no_grad():
            values, errors = evaluation.evaluate(x)
        value, error = (t[graph.output].reshape(exact.shape) for t in (values, errors))
        for i in np.ndindex(*exact.shape):
            gap = abs(Fraction(float(value[i])) - Fraction(int(exact[i].p), int(exact[i].q)))
            assert gap <= Fraction(float(error[i])), (count, i)
        if count == 8:
            assert float(error.max()) < 1e-13


def deep(layers, width=32):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        blocks = [b for _ in range(layers) for b in (nn.Linear(width, width, bias=False), nn.ReLU())]
        module = nn.Sequential(*blocks, nn.Linear(width, 3)).eval()
        with torch.no_grad():
            for m in module:
                if isinstance(m, nn.Linear):
                    m.weight.mul_(6**0.5)
        return module, torch.randn(2, width)


def test_digits_decide_what_float64_cannot():
    module, x = deep(30)
    graph = record(module, x)
    tensors = graph.tensors(module, torch.float64)
    with torch.no_grad():
        values = graph.run(tensors, x.double())
        _, kinks = forward_errors(graph, tensors, values)
    assert sum(k.count for k in kinks) > 100
    run = forward(graph, tensors, x.double())
    assert run.digits >= 8
    assert run.kinks == ()
    assert forward(graph, tensors, x.double(), limit=1.0).kinks == tuple(kinks)
    # The gates are those of exact rational arithmetic, layer by layer.
    h = [[Fraction(float(v)) for v in row] for row in x]
    for i, op in enumerate(graph.operations[:12]):
        if op.kind == "linear":
            w = [[Fraction(float(v)) for v in row] for row in tensors[op.settings["weight"]]]
            h = [[sum(a * b for a, b in zip(row, one, strict=True)) for one in w] for row in h]
        else:
            gates = run.values[op.inputs[0]] > 0
            assert gates.tolist() == [[v > 0 for v in row] for row in h], i
            h = [[max(v, Fraction(0)) for v in row] for row in h]


def test_exact_zeros_are_kinks_but_not_open():
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, -1.0], [0.1, 0.2]]))
    x = torch.tensor([[3.0, 3.0]], dtype=torch.float64)
    graph = record(module, x)
    run = forward(graph, graph.tensors(module), x)
    assert [(k.count, k.open) for k in run.kinks] == [(1, 0)]
    assert run.open == 0


def test_sums_of_zeros_are_exact_however_few_digits():
    """All ReLUs off in front of a layer without a bias: its outputs are 0, not nearly 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(1, 3, 1, bias=False), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3),
            nn.ReLU(), nn.Flatten(), nn.Linear(48, 1),
        ).double().eval()  # fmt: skip
        module[0].weight.data.abs_()
        x = -torch.rand(1, 1, 4, 4, dtype=torch.float64)
    graph = record(module, x)
    evaluation = Evaluation(graph, graph.tensors(module), 3)
    evaluation.evaluate(x)
    assert [(k.count, k.open) for k in evaluation.kinks] == [(48, 0)]


def test_resnet20_has_no_uncertain_gate():
    module, x = zoo.build("resnet20"), torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    graph = record(module, x)
    tensors = graph.tensors(module, torch.float64)
    values = graph.run(tensors, x.double())
    errors, kinks = forward_errors(graph, tensors, values)
    assert sum(k.count for k in kinks) > 10_000
    assert work(graph, tensors, 1, digits_needed(values, errors)) < 1e10
    assert forward(graph, tensors, x.double()).kinks == ()


def test_sums_too_long_for_exact_digits_fall_back():
    module = nn.Linear(400_000, 1, bias=False).double()
    x = torch.ones(1, 400_000, dtype=torch.float64)
    graph = record(module, x)
    with pytest.raises(ValueError, match="too long for exact digits"):
        Evaluation(graph, graph.tensors(module), 8).evaluate(x / 3)
