"""Stacked training and scores, against one network at a time and against path enumeration."""

import itertools

import numpy as np
import pytest
import torch

from verify.experiments import capacity, scores
from verify.trials import training
from verify.trials.streams import stream
from verify.trials.training import Recipe, initial, train

X = torch.randn(20, 5, generator=torch.Generator().manual_seed(1))
Y = torch.where(torch.rand(20, generator=torch.Generator().manual_seed(2)) < 0.5, -1.0, 1.0)


def paths(stack, copy, x):
    """(path's (layer, out, in) edges, value, number of samples' x^2 that pass its gates) by enumeration."""
    ws = [(w * m)[copy].double() for w, m in zip(stack.weights, stack.masks, strict=True)]
    gates, h = [], x.double()
    for w in ws[:-1]:
        z = h @ w.T
        gates.append(z > 0)
        h = z.relu()
    for units in itertools.product(*(range(k) for k in [ws[0].shape[1], *(w.shape[0] for w in ws)])):
        edges = [(i, units[i + 1], units[i]) for i in range(len(ws))]
        if not all(stack.masks[i][copy, o, j] for i, o, j in edges):
            continue
        value = np.prod([float(ws[i][o, j]) for i, o, j in edges])
        on = torch.ones(len(x), dtype=torch.bool)
        for gate, unit in zip(gates, units[1:-1], strict=True):
            on &= gate[:, unit]
        yield edges, value, float((x.double()[:, units[0]] ** 2)[on].sum()), units[-1]


@pytest.fixture
def thinned():
    stack = initial([5, 3, 4, 2], [1, 2])
    return stack.with_masks(training.top_masks(stack, [w.abs() for w in stack.weights], 0.7))


@pytest.mark.parametrize("method", ["synflow", "synflow-l2", "px", "path-energy"])
def test_path_scores_are_sums_over_paths(thinned, method):
    found = scores.scores(thinned, method, X, Y)
    for copy in range(2):
        data: dict[int, float] = {}
        for _, _, squared, k in paths(thinned, copy, X):
            data[k] = data.get(k, 0.0) + squared
        expected = [torch.zeros(m.shape[1:], dtype=torch.float64) for m in thinned.masks]
        for edges, value, squared, k in paths(thinned, copy, X):
            weights = {"synflow": abs(value), "synflow-l2": value**2, "px": data[k] * value**2}
            weight = (weights | {"path-energy": squared * value**2})[method]
            for i, o, j in edges:
                expected[i][o, j] += weight
        scale = max(data.values()) if method == "px" else 1.0
        for f, e in zip(found, expected, strict=True):
            assert torch.allclose(f[copy], e / scale, rtol=1e-5)


def test_activation_is_the_sum_over_paths(thinned):
    found = scores.activation(thinned, X)
    for copy in range(2):
        expected = [0.0, 0.0]
        for _, _, squared, k in paths(thinned, copy, X):
            expected[k] += squared
        assert np.allclose(found[copy], expected, rtol=1e-5)


def test_snip_and_grasp_by_finite_differences():
    stack = initial([5, 4, 1], [3], bias=True)
    stack = training.Stack(
        [w.double() for w in stack.weights], [m.double() for m in stack.masks], [b.double() + 0.1 for b in stack.biases]
    )
    x, y = X.double(), Y.double()

    def gradient(weights):
        weights = [w.clone().requires_grad_() for w in weights]
        loss = training.losses(training._forward(weights, stack.biases, x), y).sum()
        return torch.autograd.grad(loss, weights)

    g = gradient(stack.weights)
    snip = scores.scores(stack, "snip", x, y)
    assert all(torch.allclose(s, (w * d).abs()) for s, w, d in zip(snip, stack.weights, g, strict=True))
    h = 1e-6  # H g as a central difference of the gradient along g
    plus, minus = (gradient([w + t * d for w, d in zip(stack.weights, g, strict=True)]) for t in (h, -h))
    expected = [w * (p - m) / (2 * h) for w, p, m in zip(stack.weights, plus, minus, strict=True)]
    grasp = scores.scores(stack, "grasp", x, y)
    assert all(torch.allclose(s, e, rtol=1e-4, atol=1e-8) for s, e in zip(grasp, expected, strict=True))


def test_a_copy_does_not_depend_on_its_neighbours():
    recipe = Recipe(steps=40)
    together = train(initial([5, 4, 1], [1, 2, 3], bias=True), X, Y, recipe)
    alone = train(initial([5, 4, 1], [2], bias=True), X, Y, recipe)
    for a, b in zip([*together.weights, *together.biases], [*alone.weights, *alone.biases], strict=True):
        assert torch.allclose(a[1], b[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("recipe", [Recipe(60), Recipe(60, 0.05, "sgd", 8, (0.5,))])
def test_stacked_training_is_ordinary_training(recipe):
    """Against torch.nn and torch.optim, one network."""
    start = initial([5, 6, 1], [4], bias=True)
    found = train(start, X, Y, recipe, seed=9)
    module = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1))
    with torch.no_grad():
        for i, layer in enumerate((module[0], module[2])):
            layer.weight.copy_(start.weights[i][0])
            layer.bias.zero_()
    if recipe.optimiser == "adam":
        optimiser = torch.optim.Adam(module.parameters(), recipe.rate)
    else:
        optimiser = torch.optim.SGD(module.parameters(), recipe.rate, momentum=0.9)
    g, order = stream("order", 9), []
    for step in range(recipe.steps):
        if step == 30 and recipe.milestones:
            optimiser.param_groups[0]["lr"] /= 10
        if recipe.batch:
            order = order or list(torch.randperm(20, generator=g).split(8))[:2]
            pick = order.pop(0)
        else:
            pick = torch.arange(20)
        optimiser.zero_grad()
        torch.nn.functional.softplus(-module(X[pick])[:, 0] * Y[pick]).mean().backward()
        optimiser.step()
    assert torch.allclose(found.weights[0][0], module[0].weight, rtol=1e-3, atol=1e-5)
    assert torch.allclose(found.biases[1][0], module[2].bias, rtol=1e-3, atol=1e-5)


def test_masked_weights_stay_zero_and_the_others_move():
    stack = initial([5, 4, 1], [1], bias=True)
    masked = stack.with_masks(training.top_masks(stack, [w.abs() for w in stack.weights], 0.5, scope="layer"))
    after = train(masked, X, Y, Recipe(10))
    for w, w0, m in zip(after.weights, stack.weights, masked.masks, strict=True):
        assert (w[m == 0] == 0).all()
        assert (w[m == 1] != w0[m == 1]).any()


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_masks_keep_exactly_as_many_as_asked_even_with_ties(scope):
    stack = initial([4, 5, 2], [1, 2])
    ones = [torch.ones_like(w) for w in stack.weights]
    masks = training.top_masks(stack, ones, 0.5, scope=scope)
    assert [int(sum(m[c].sum() for m in masks)) for c in range(2)] == [15, 15]
    again = training.top_masks(stack.with_masks(masks), [w.abs() for w in stack.weights], 0.3, scope=scope)
    assert all((b <= a).all() for a, b in zip(masks, again, strict=True)), "a pruned weight came back"
    assert int(sum(m[0].sum() for m in again)) == 9


def test_sampled_masks_follow_successive_sampling():
    """Two of three weights at 1/6, 2/6, 3/6: the pair {0, 1} has probability 1/6 * 2/5 + 2/6 * 1/4."""
    count = 4000
    stack = initial([3, 1], range(count))
    chosen = [torch.tensor([1.0, 2.0, 3.0]).expand(count, 1, 3)]
    (mask,) = training.sampled_masks(stack, chosen, 2 / 3, seeds=range(count))
    assert (mask.sum((1, 2)) == 2).all()
    share = float((mask[:, 0, 2] == 0).double().mean())
    expected = 1 / 6 * 2 / 5 + 2 / 6 * 1 / 4
    assert abs(share - expected) < 4 * (expected * (1 - expected) / count) ** 0.5


def test_live_weights_counts_those_on_paths():
    stack = initial([2, 2, 1], [0])
    masks = [torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([[[1.0, 0.0]]])]
    assert [int(v) for v in scores.live_weights(stack.with_masks(masks))] == [1, 1]


def test_iterative_magnitude_keeps_the_large_trained_weights_of_the_first_round():
    stack = initial([5, 4, 1], [1], bias=True)
    recipe = Recipe(30)
    trained = train(stack, X, Y, recipe)
    expected = training.top_masks(stack, [w.abs() for w in trained.weights], 0.5, scope="layer")
    assert all(
        torch.equal(a, b)
        for a, b in zip(training.iterative_magnitude(stack, X, Y, 0.5, recipe, rounds=1), expected, strict=True)
    )
    with pytest.raises(ValueError, match="at least one round"):
        training.iterative_magnitude(stack, X, Y, 0.5, rounds=0)


def test_same_law_control_has_no_gain_for_rules_that_ignore_labels():
    """Random masks are the same for both label sets, so own and foreign agree to the bit."""
    found = capacity.same_law(method="random", steps=20, copies=3, seed=0)
    assert found["own"] == found["foreign"]
    assert found["weights"] == 156


def test_same_law_control_trains_both_arms_on_the_same_labels():
    found = capacity.same_law(method="snip", steps=20, copies=3, samples=40, seed=0)
    assert found["own"] != found["foreign"]
    assert all(0 <= v <= 1 for v in found["own"] + found["foreign"])


def test_train_module_learns_and_keeps_its_masks():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, 2)
    )
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(0, 0.1, generator=g)
    y = torch.arange(60) % 2
    x = torch.randn(60, 1, 8, 8, generator=g) + y[:, None, None, None]
    mask = (torch.rand(2, 256, generator=g) < 0.5).float()
    recipe = training.ImageRecipe(epochs=5, batch=20, rate=0.05, milestones=(4,), shift=1)
    history = training.train_module(net, {"3.weight": mask}, x, y, recipe)
    assert history[-1] < history[0]
    assert (net[3].weight[mask == 0] == 0).all()
    with pytest.raises(ValueError, match="no parameter 'fc'"):
        training.train_module(net, {"fc": mask}, x, y, recipe)


def test_augmentation_shifts_and_flips_whole_images():
    image = torch.arange(1.0, 10.0).view(1, 1, 3, 3).repeat(200, 1, 1, 1)
    out = training.augmented(image, 1, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(image[0, 0], (1, 1, 1, 1))
    allowed = {
        tuple((c.flip(1) if flip else c).flatten().tolist())
        for i in range(3)
        for j in range(3)
        for c in [padded[i : i + 3, j : j + 3]]
        for flip in (False, True)
    }
    assert {tuple(o.flatten().tolist()) for o in out} == allowed


@pytest.mark.parametrize(
    "method", [m for m in scores.METHODS.values() if m.score and not m.signed], ids=lambda m: m.name
)
def test_sampling_draws_from_what_thresholding_ranks(method):
    """Every score that can be sampled is nonnegative; a signed one beside it has the same size."""
    stack = initial([5, 4, 3], [1, 2])
    y = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(3))
    found = scores.scores(stack, method.name, X, y, seeds=[1, 2])
    assert all((s >= 0).all() for s in found)
    if method.name == "grasp-200-absolute":
        signed = scores.scores(stack, "grasp-200", X, y)
        assert all(torch.equal(a, b.abs()) for a, b in zip(found, signed, strict=True))
        assert any((b < 0).any() for b in signed)


def test_every_method_keeps_as_many_as_asked_and_says_its_settings():
    stack = initial([5, 8, 3], [1, 2], bias=True)
    y = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(3))
    for method in scores.METHODS.values():
        masks = scores.make_masks(stack, method.name, X, y, 0.25, scope="global", rounds=2, seeds=[1, 2])
        per_copy = sum(m.sum((1, 2)) for m in masks)
        if method.score:
            assert per_copy.tolist() == [16.0, 16.0], method.name
        assert method.sentence in method.settings
    assert "outputs divided by 200" in scores.METHODS["grasp-200"].settings
    assert "signed" in scores.METHODS["grasp"].settings


def drawn_masks(kind, stack, seeds):
    """Masks that are drawn at random in every way there is."""
    if kind == "sampled":
        flat = [torch.ones_like(w) for w in stack.weights]
        return training.sampled_masks(stack, flat, 0.1, scope="layer", seeds=seeds)
    if kind == "shuffled":
        first = [torch.zeros_like(w) for w in stack.weights]
        for m in first:
            m[:, :, : max(1, m.shape[2] // 10)] = 1
        return scores.shuffled(first, seeds)
    return scores.make_masks(stack, kind, X, Y, 0.1, seeds=seeds)


@pytest.mark.parametrize("kind", ["random", "erk", "sampled", "shuffled"])
def test_masks_that_are_drawn_know_nothing_of_the_weights(kind):
    """With one seed for weights and scores the kept weights are 24 % larger than the average, and mostly negative."""
    seeds = list(range(40))
    stack = initial([64, 64, 10], seeds)
    for w, m in zip(stack.weights, drawn_masks(kind, stack, seeds), strict=True):
        kept, n = w[m > 0] / w.std(), int(m.sum())
        assert abs(float(kept.mean())) < 4 / n**0.5
        # |N(0, 1)| has mean 0.798 and standard deviation 0.603.
        assert abs(float(kept.abs().mean()) - 0.798) < 4 * 0.603 / n**0.5


@pytest.mark.parametrize("method", [m.name for m in scores.METHODS.values() if m.scope == "" and m.name != "random"])
def test_no_other_method_draws_anything(method):
    """All others are functions of weights and data: their seeds change nothing."""
    stack = initial([5, 8, 3], [1, 2], bias=True)
    y = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(3))
    recipe = Recipe(20)
    one, two = (scores.make_masks(stack, method, X, y, 0.3, rounds=2, seeds=s, recipe=recipe) for s in ([1, 2], [8, 9]))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def network_gradient(weights, x, y):
    """Gradient of the mean cross-entropy of one bias-free perceptron, by hand in numpy."""
    inputs, h = [], x
    for i, w in enumerate(weights):
        inputs.append(h)
        z = h @ w.T
        h = np.maximum(z, 0) if i + 1 < len(weights) else z
    shifted = np.exp(h - h.max(1, keepdims=True))
    delta = (shifted / shifted.sum(1, keepdims=True) - np.eye(h.shape[1])[y]) / len(x)
    found = []
    for i in reversed(range(len(weights))):
        found.insert(0, delta.T @ inputs[i])
        delta = (delta @ weights[i]) * (inputs[i] > 0)
    return found


@pytest.mark.parametrize(("method", "revives"), [("snip-iterative", False), ("force", True)])
@pytest.mark.parametrize("widths", [[5, 8, 3], [5, 6, 6, 4], [5, 12, 2]])
def test_iterative_snip_and_force_again(method, revives, widths):
    """De Jorge et al. 2021, algorithm 1, by hand: scores of all weights or of those left, one ranking a round."""
    stack = initial(widths, [3])
    stack = training.Stack([w.double() for w in stack.weights], [m.double() for m in stack.masks], [])
    x, y, rounds, density = X.double(), torch.arange(20) % widths[-1], 7, 0.2
    masks = scores.make_masks(stack, method, x, y, density, scope="global", rounds=rounds)
    weights = [w[0].numpy() for w in stack.weights]
    total, kept = sum(w.size for w in weights), [np.ones(w.shape, dtype=bool) for w in weights]
    revived = False
    for r in range(1, rounds + 1):
        gradient = network_gradient([w * m for w, m in zip(weights, kept, strict=True)], x.numpy(), y.numpy())
        size = [abs(w * g) for w, g in zip(weights, gradient, strict=True)]
        if not revives:
            size = [np.where(m, s, -1.0) for s, m in zip(size, kept, strict=True)]
        order = np.argsort(-np.concatenate([s.ravel() for s in size]), kind="stable")  # of equal ones the first
        flat = np.isin(np.arange(total), order[: round(density ** (r / rounds) * total)])
        ends = np.cumsum([w.size for w in weights])[:-1]
        now = [part.reshape(w.shape) for part, w in zip(np.split(flat, ends), weights, strict=True)]
        revived |= any((n & ~m).any() for n, m in zip(now, kept, strict=True))
        kept = now
    assert all((a == m[0].numpy()).all() for a, m in zip(kept, masks, strict=True))
    assert revived is revives


def test_rewinding_goes_back_to_early_in_training():
    """Masks and final training start from the weights after a tenth of the steps, and nine tenths are left."""
    stack = initial([5, 8, 3], [1, 2], bias=True)
    y = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(3))
    start, rest = scores.starting_point(stack, "imp-rewind", X, y, Recipe(50), seed=7)
    early = train(stack, X, y, Recipe(5), seed=7)
    assert rest == Recipe(45)
    assert all(torch.equal(a, b) for a, b in zip(start.weights, early.weights, strict=True))
    masks = scores.make_masks(start, "imp-rewind", X, y, 0.3, rounds=1, recipe=rest)
    trained = train(start, X, y, rest)
    for w, m in zip(trained.weights, masks, strict=True):
        for copy in range(2):
            assert w[copy][m[copy] > 0].abs().min() >= w[copy][m[copy] == 0].abs().max()
    assert scores.starting_point(stack, "imp", X, y, Recipe(50)) == (stack, Recipe(50))


def test_permuted_labels_are_the_same_labels():
    y = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(3))
    other = scores.relabelled(y, 1)
    assert torch.equal(other.sort().values, y.sort().values)
    assert not torch.equal(other, y)
    stack = initial([5, 8, 3], [1, 2])
    plain, moved = (
        scores.pruned(stack, "snip", X, y, 0.3, sanity, scope="global", seeds=[1, 2]) for sanity in ("none", "relabel")
    )
    assert not all(torch.equal(a, b) for a, b in zip(plain.masks, moved.masks, strict=True))
    with pytest.raises(ValueError, match="synflow sees no labels"):
        scores.pruned(stack, "synflow", X, y, 0.3, "relabel", seeds=[1, 2])


def test_erk_follows_in_plus_out_and_fills_small_layers():
    """64-64-64-10 at 10 %: shares (in + out)/(in out); at 60 % the last layer is full. By hand."""
    stack = initial([64, 64, 64, 10], [0])
    counts = training.kept_counts(stack, 0.1, "erk")
    assert sum(counts) == round(0.1 * stack.parameters)
    scale = sum(counts) / (128 + 128 + 74)
    assert all(abs(c - scale * u) <= 1 for c, u in zip(counts, (128, 128, 74), strict=True))
    assert training.kept_counts(stack, 0.6, "erk")[2] == 640
    assert training.kept_counts(stack, 1.0, "erk") == [4096, 4096, 640]
    masks = scores.make_masks(stack, "erk", X, Y, 0.1, seeds=[5])
    assert [int(m.sum()) for m in masks] == counts


def test_sanity_checks_keep_what_they_say():
    stack = initial([5, 8, 3], [1, 2], bias=True)
    y = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(3))
    plain, shuffle, again, invert = (
        scores.pruned(stack, "snip", X, y, 0.3, sanity, scope="global", seeds=[1, 2]) for sanity in scores.SANITY[:4]
    )
    counts = [m.sum((1, 2)).tolist() for m in plain.masks]
    assert [m.sum((1, 2)).tolist() for m in shuffle.masks] == counts
    assert not all(torch.equal(a, b) for a, b in zip(plain.masks, shuffle.masks, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(plain.weights, shuffle.weights, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(plain.masks, again.masks, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(plain.weights, again.weights, strict=True))
    found = scores.scores(stack, "snip", X, y)
    for copy in range(2):
        kept = torch.cat([s[copy][m[copy] > 0] for s, m in zip(found, invert.masks, strict=True)])
        dropped = torch.cat([s[copy][m[copy] == 0] for s, m in zip(found, invert.masks, strict=True)])
        assert len(kept) == int(sum(m[copy].sum() for m in plain.masks))
        assert kept.max() <= dropped.min()


def test_methods_shared_with_torch_modules_have_the_same_names_and_scores():
    """The registries name the same thing the same way: a perceptron without biases as a module and as a stack."""
    from verify.networks.scores import methods

    stack = initial([5, 4, 3], [1])
    module = torch.nn.Sequential(
        torch.nn.Linear(5, 4, bias=False), torch.nn.ReLU(), torch.nn.Linear(4, 3, bias=False)
    ).eval()
    with torch.no_grad():
        for layer, w in zip((module[0], module[2]), stack.weights, strict=True):
            layer.weight.copy_(w[0])
    y = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(3))
    shared = [m.name for m in scores.METHODS.values() if m.name in methods.METHODS and m.name != "random"]
    assert set(shared) >= {"magnitude", "snip", "grasp", "synflow", "synflow-l2", "px", "px-frozen", "path-energy"}
    for name in shared:
        ours = torch.cat([s[0].flatten() for s in scores.scores(stack, name, X, y)]).double()
        theirs = torch.cat([s.flatten() for s in methods.saliency(module, name, X, y).values()]).double()
        # One common positive factor is free: path scores are rescaled, GraSP's is 1.
        assert torch.allclose(ours / ours.abs().max(), theirs / theirs.abs().max(), atol=1e-5), name


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: training.top_masks(s, s.weights, 0.0), "density"),
        (lambda s: training.top_masks(s, s.weights, 0.5, scope="net"), "scope"),
        (lambda s: train(s, X, Y, Recipe(optimiser="lion")), "optimiser"),
        (lambda s: scores.make_masks(s, "snap", X, Y, 0.5), "no method is called 'snap'; did you mean"),
        (lambda s: scores.scores(s, "synflw", X, Y), "did you mean synflow"),
        (lambda s: scores.scores(s, "imp", X, Y), "imp trains: it has masks"),
        (lambda s: scores.make_masks(s, "imp", X, Y, 0.5, select="sample"), "no scores to sample"),
        (lambda s: scores.make_masks(s, "grasp-200", X, Y, 0.5, select="sample"), "signed.*grasp-200-absolute"),
        (lambda s: scores.make_masks(s, "snip", X, Y, 0.5, select="best"), "select is top, sample, bottom"),
        (lambda s: scores.pruned(s, "snip", X, Y, 0.5, "shake", seeds=[1]), "sanity is none, shuffle"),
        (lambda s: training.sampled_masks(s, [-w.abs() for w in s.weights], 0.5, seeds=[1]), "none may be negative"),
        (lambda s: s.with_masks([m[:, :1] for m in s.masks]), "a mask has shape"),
        (lambda s: initial([3], [1]), "two|input width"),
        (
            lambda s: capacity.noise_correlation(method="snip", data="mnist", seed=0),
            "'gaussian', 'digits' or 'cifar10'",
        ),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call(initial([5, 4, 1], [1]))
