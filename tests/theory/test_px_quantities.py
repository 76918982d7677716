"""Smooth units, the released score, guarded runs and descent, each against something independent."""

import math
from itertools import product

import numpy as np
import pytest
from flint import arb, fmpq

from theory.descent import KernelDescent
from theory.guarded import GuardedRun, live
from theory.networks import mlp
from theory.paths import NetworkOnData
from theory.pruning import PruningRun
from theory.released import KERNEL, NormalisedNetwork
from theory.scalars import exact, floats, precision
from theory.smooth import ELEMENTWISE, UNITS, SmoothNetwork, elementwise

# -- smooth units -------------------------------------------------------------------------------------


def smooth(unit, seed, widths=(2, 3, 2, 1), samples=3):
    rng = np.random.default_rng([seed, 21])
    theta = rng.integers(-6, 7, mlp(widths).parameters) / 4
    return SmoothNetwork(widths, unit, theta, rng.integers(-6, 7, (samples, widths[0])) / 2)


def reference(unit, z):
    return {
        "gelu": lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))),
        "silu": lambda v: v / (1 + math.exp(-v)),
        "sigmoid": lambda v: 1 / (1 + math.exp(-v)),
        "tanh": math.tanh,
    }[unit](z)


@pytest.mark.parametrize("unit", ELEMENTWISE)
def test_units_are_the_textbook_functions(unit):
    z = np.array([-3.0, -0.5, 0.0, 0.25, 2.0])
    for value, slope in (elementwise(unit, z), elementwise(unit, exact(z))):
        assert floats(value) == pytest.approx([reference(unit, v) for v in z], rel=1e-13, abs=1e-15)
        step = 1e-5
        estimate = [(reference(unit, v + step) - reference(unit, v - step)) / (2 * step) for v in z]
        assert floats(slope) == pytest.approx(estimate, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("unit", UNITS)
def test_the_trace_is_that_of_difference_quotients(unit):
    """Central differences in 600-bit balls: the error of order h^2 = 1e-40 is all that is left."""
    i, step = smooth(unit, 1).exact(), fmpq(1, 10**20)
    with precision(600):
        trace = SmoothNetwork(i.widths, unit, i.theta, i.x).ntk_trace()
        quotients = 0
        for j in range(i.network.parameters):
            up, down = i.theta.copy(), i.theta.copy()
            up[j], down[j] = up[j] + step, down[j] - step
            slope = (i.with_(theta=up).outputs() - i.with_(theta=down).outputs()) / (2 * step)
            quotients = quotients + (slope * slope).sum()
        assert abs(arb(trace) - arb(quotients)) < arb(10) ** -25 * (1 + abs(arb(trace)))
        assert arb(trace) > 0


@pytest.mark.parametrize("unit", UNITS)
def test_stacks_agree_with_balls(unit):
    single = smooth(unit, 2)
    stack = single.stack(2)
    assert stack.ntk_trace()[1] == pytest.approx(floats(single.exact().ntk_trace()), rel=1e-9)
    for on in (False, True):
        assert stack.formal_bound(every_gate_on=on)[0] == pytest.approx(
            floats(single.exact().formal_bound(every_gate_on=on)), rel=1e-12
        )


def test_the_formal_bound_by_hand():
    """1-1-1, w = 1, v = 3, x = 2: D = 4, T = 9 + 1; with w = -1 the gate is off."""
    assert SmoothNetwork((1, 1, 1), "gelu", exact([1, 3]), exact([[2]])).formal_bound() == 40
    off = SmoothNetwork((1, 1, 1), "gelu", exact([-1, 3]), exact([[2]]))
    assert off.formal_bound() == 0
    assert off.formal_bound(every_gate_on=True) == 40
    with pytest.raises(ValueError, match="unknown unit 'swish'; known: gelu"):
        SmoothNetwork((1, 1), "swish", exact([1]), exact([[1]]))


# -- the released score with batch normalisation -------------------------------------------------------


def normalised(seed, *, training=True, activations=False, pooled=True, blocks=1, samples=2, positions=3):
    rng = np.random.default_rng([seed, 22])
    x = exact(rng.integers(-3, 4, (samples, positions)).astype(float))
    d = exact(rng.integers(1, 4, 2).astype(float))
    empty = NormalisedNetwork(2, blocks, 2, training, activations, pooled, d, x, d)
    theta = exact(rng.integers(-4, 5, empty.parameters) / 2 + 0.25)
    return empty.with_(theta=theta)


def released_output(i, parameters, rng_spread):
    """Sum_k D_k f^k over the batch in float64, written out position by position (conv weights given squared)."""
    x, groups = floats(i.x), i.groups
    h, positions = x[:, None, :], x.shape[1]
    for b in range(i.blocks + 1):
        w = parameters[list(groups[f"conv{b}"])].reshape(i.channels, -1, KERNEL)
        padded = np.pad(h, ((0, 0), (0, 0), (1, 1)))
        z = sum(np.einsum("ncp,oc->nop", padded[:, :, k : k + positions], w[:, :, k]) for k in range(KERNEL))
        if i.training:
            mean = z.mean(axis=(0, 2), keepdims=True)
            variance = ((z - mean) ** 2).mean(axis=(0, 2), keepdims=True)
            z = (z - mean) / np.sqrt(variance + rng_spread[b])
        scale, shift = (parameters[list(groups[f"{n}{b}"])][:, None] for n in ("scale", "shift"))
        new = scale * z + shift
        h = new if b == 0 else new + h
        h = np.maximum(h, 0) if i.activations else h
    features = h.mean(axis=2) if i.pooled else h.reshape(len(h), -1)
    last = parameters[list(groups["last"])].reshape(i.outputs, -1)
    out = features @ last.T + parameters[list(groups["bias"])]
    return float((out * floats(i.d)).sum())


def constants(i):
    """What the module adds to the variance of each convolution, 1 + v + v^2, at the instance itself."""
    x, groups, theta = floats(i.x), i.groups, floats(i.theta)
    h, positions, out = x[:, None, :], x.shape[1], []
    for b in range(i.blocks + 1):
        w = (theta[list(groups[f"conv{b}"])] ** 2).reshape(i.channels, -1, KERNEL)
        padded = np.pad(h, ((0, 0), (0, 0), (1, 1)))
        z = sum(np.einsum("ncp,oc->nop", padded[:, :, k : k + positions], w[:, :, k]) for k in range(KERNEL))
        if i.training:
            variance = z.var(axis=(0, 2), keepdims=True)
            out.append(1 + variance + variance**2)
            z = (z - z.mean(axis=(0, 2), keepdims=True)) / np.sqrt(variance + out[-1])
        else:
            out.append(None)
        scale, shift = (theta[list(groups[f"{n}{b}"])][:, None] for n in ("scale", "shift"))
        new = scale * z + shift
        h = new if b == 0 else new + h
        h = np.maximum(h, 0) if i.activations else h
    return out


@pytest.mark.parametrize(("training", "activations", "pooled"), list(product((True, False), repeat=3)))
def test_released_scores_are_difference_quotients(training, activations, pooled):
    i = normalised(3, training=training, activations=activations, pooled=pooled)
    theta, spread, step = floats(i.theta), constants(i), 1e-6
    variables = theta.copy()
    convolutions = [j for name, group in i.groups.items() if name.startswith("conv") for j in group]
    variables[convolutions] **= 2
    for j, score in enumerate(floats(i.scores())):
        up, down = variables.copy(), variables.copy()
        up[j], down[j] = up[j] + step, down[j] - step
        slope = (released_output(i, up, spread) - released_output(i, down, spread)) / (2 * step)
        assert score == pytest.approx(abs(slope) * theta[j] ** 2, rel=1e-5, abs=1e-6), j


def test_released_scores_of_convolutions_vanish_and_only_then():
    convolutions = [j for n, g in normalised(7).groups.items() if n.startswith("conv") for j in g]
    assert all(v == 0 for v in normalised(7).scores()[convolutions])
    for change in ({"training": False}, {"activations": True}):
        assert any(v != 0 for v in normalised(7, **change).scores()[convolutions])
    flat = normalised(7, pooled=False)
    assert any(v != 0 for v in flat.scores()[convolutions])


def test_nothing_depends_on_the_inputs_being_identical():
    """The sum over the batch is what is differentiated, so the batch need not be of identical inputs."""
    convolutions = [j for n, g in normalised(5).groups.items() if n.startswith("conv") for j in g]
    i = normalised(5, samples=3)
    assert len({str(row) for row in i.x.tolist()}) > 1
    assert all(v == 0 for v in i.scores()[convolutions])


# -- guarded runs ---------------------------------------------------------------------------------------


def guarded(theta, x, keep, widths, scorer="px"):
    return GuardedRun(mlp(widths), exact(theta), exact(x), keep, 1, scorer)


def test_a_guard_keeps_alive_what_px_kills():
    """2-1-1, first layer (-3, 2) on x = (1, 2): PX drops the weight 2 (score 4 against 9)."""
    run = guarded([-3, 2, 1], [[1, 2]], 2, (2, 1, 1))
    assert run.valid()
    assert run.final_mask().tolist() == [False, True, True]
    plain = PruningRun(run.network, run.theta, run.x, keep=2, scorer="px")
    assert plain.final_mask().tolist() == [True, False, True]
    assert not live(plain, plain.final_mask())
    assert live(run, run.final_mask())


@pytest.mark.parametrize("scorer", ["px", "magnitude", "synflow-l2"])
def test_guarded_runs_end_in_a_live_path(scorer):
    rng = np.random.default_rng([6, len(scorer)])
    checked = 0
    for _ in range(30):
        widths = (*(int(v) for v in rng.integers(1, 3, 2)), 1)
        net = mlp(widths)
        run = guarded(rng.integers(-4, 5, net.parameters), rng.integers(-3, 4, (2, widths[0])), 2, widths, scorer)
        if not run.valid() or not live(run, np.ones(net.parameters, dtype=bool)):
            continue
        checked += 1
        assert run.final_mask().sum() == 2
        assert live(run, run.final_mask())
    assert checked > 3


def test_where_the_guard_does_nothing_the_run_is_the_plain_one():
    run = guarded([1, 2, 3, 4], [[1]], 2, (1, 2, 1))
    plain = PruningRun(run.network, run.theta, run.x, keep=2, scorer="px")
    assert run.masks().tolist() == plain.masks().tolist()


# -- descent --------------------------------------------------------------------------------------------


def test_closed_form_of_descent_is_the_iteration():
    values, residual, eta = exact([3, 1, 0]), exact([1, -2, 5]), exact(np.asarray(0.25))
    r = residual
    for _ in range(4):
        r = r - eta[()] * values * r
    i = KernelDescent(4, values, values, residual, eta)
    assert i.after(values) == (r * r).sum()
    assert (i.slowest(), i.fastest()) == (0, 3)


# -- operator norms -----------------------------------------------------------------------------------


def test_the_bound_by_operator_norms_by_hand():
    """f = w1 x1 + w2 x2 on (1, 0), (0, 1): trace 2, D = T = 2, and both matrices are the identity."""
    i = NetworkOnData(mlp([2, 1]), exact([3, 5]), exact([[1, 0], [0, 1]]))
    assert (i.ntk_trace(), i.bound_per_output()[0]) == (2, 4)
    assert (i.activation_norm_per_output()[0], i.kernel_norm_per_output()[0]) == (1, 1)


def test_operator_norms_are_those_of_numpy():
    rng = np.random.default_rng([1, 23])
    net = mlp([2, 3, 2])
    stack = NetworkOnData(net, rng.integers(-3, 4, (4, net.parameters)) / 2.0, rng.integers(-3, 4, (4, 3, 2)) / 2.0)
    for k in range(2):
        ends = np.array(stack.paths.outputs) == k
        for n in range(4):
            one = stack.take(n)
            rows, kernel = one.path_inputs()[:, ends], one.path_jacobian()[ends]
            assert stack.activation_norm_per_output()[n, k] == pytest.approx(np.linalg.norm(rows, 2) ** 2)
            assert stack.kernel_norm_per_output()[n, k] == pytest.approx(np.linalg.norm(kernel, 2) ** 2)
    assert floats(stack.at(0).activation_norm_per_output()) == pytest.approx(stack.activation_norm_per_output()[0])
