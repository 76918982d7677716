"""A record that is kept is never stale: whatever changes about a module, the next answer is that of a new module."""

import copy
import gc
import types
import weakref

import pytest
import torch
import torch.nn.functional as F
import torch.nn.utils.prune as torch_prune
from torch import nn

from verify import ntk_trace, path_bound, saliency
from verify.networks.recording.graph import NotCovered
from verify.networks.recording.known import known
from verify.networks.recording.record import record, record_for

SWITCH = {"twice": False}


class Steered(nn.Module):
    """A small network whose forward follows attributes, an object, a global, a buffer and a plain tensor."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.body = nn.Sequential(nn.Linear(48, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 5), nn.ReLU())
        self.head = nn.Linear(5, 3)
        self.config = types.SimpleNamespace(skip=False)
        self.slope, self.factor, self.window, self.layers = 0.0, 1.0, 1, [1, 2]
        self.shift = torch.zeros(5)
        self.register_buffer("steps", torch.tensor(1))
        self.register_buffer("scale", torch.ones(5))
        self.calls = 0

    def forward(self, x):
        h = F.leaky_relu(self.norm(self.conv(x)), self.slope)
        h = F.max_pool2d(h, self.window, 1, self.window // 2)[:, :, :4, :4].flatten(1)
        h = self.body(h) * self.factor * self.scale + self.shift
        if self.config.skip:
            h = h + h
        if SWITCH["twice"]:
            h = F.relu(h)
        if int(self.steps) > 1:
            h = -h
        return self.head(h) if len(self.layers) > 1 else self.head(h) * 2.0


def built():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Steered().double()
        for name, buffer in module.norm.named_buffers():
            if name != "num_batches_tracked":
                buffer.uniform_(0.5, 1.5)
    return module


def inputs():
    return torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def in_place(m):
    with torch.no_grad():
        m.head.weight.mul_(2.0)


def unseen(m):
    m.body[0].weight.data.mul_(-1.0)


def other_storage(m):
    m.head.weight.data = m.head.weight.data * 3.0


def statistics(m):
    m.norm.running_mean.data.add_(1.0)


def slope(m):
    m.slope = 0.25


def nothing_new(m):
    m.slope = 0.0


def submodule(m):
    m.body[1] = nn.LeakyReLU(0.5)


def no_bias(m):
    m.head.bias = None


def shared(m):
    m.body[3].weight = nn.Parameter(m.body[3].weight.detach().t().contiguous())


def other_layer(m):
    m.body[4] = nn.Identity()


def longer(m):
    m.body.append(nn.ReLU())


def mode(m):
    m.train()


def hooked(m):
    m.body[0].register_forward_hook(lambda mod, a, out: out * 3.0)


def hooked_before(m):
    m.head.register_forward_pre_hook(lambda mod, a: (F.relu(a[0]),))


def factor(m):
    m.factor = 2.0


def window(m):
    m.window = 3


def held_object(m):
    m.config.skip = True


def held_list(m):
    m.layers.pop()


def constant(m):
    m.shift.add_(1.0)


def number_in_a_buffer(m):
    m.steps.fill_(2)


def buffer(m):
    m.scale.mul_(2.0)


def own_forward(m):
    m.forward = types.MethodType(lambda self, x: Steered.forward(self, x) * 2.0, m)


def attribute_of_a_layer(m):
    m.conv.padding, m.conv.dilation = (2, 2), (2, 2)


def statistics_off(m):
    m.norm.eps = 1.0


CHANGES = (
    in_place, unseen, other_storage, statistics, slope, nothing_new, submodule, no_bias, shared, other_layer, longer,
    mode, hooked, hooked_before, factor, window, held_object, held_list, constant, number_in_a_buffer, buffer,
    own_forward, attribute_of_a_layer, statistics_off,
)  # fmt: skip


def answers(module, x):
    bound = path_bound(module, x)
    scores = saliency(module, "px", x, scored="all") | {
        f"synflow {n}": s for n, s in saliency(module, "synflow", x).items()
    }
    return [ntk_trace(module, x, per_output=True, per_sample=True), bound.per_output, bound.objective, *scores.values()]


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_what_changes_between_two_calls_is_seen(change):
    module, x = built(), inputs()
    answers(module, x)
    assert known(module) is not None
    change(module)
    fresh = copy.deepcopy(module)
    if change is own_forward:
        own_forward(fresh)
    for got, expected in zip(answers(module, x), answers(fresh, x), strict=True):
        assert torch.equal(got, expected)


def test_globals_are_seen():
    module, x = built(), inputs()
    answers(module, x)
    try:
        SWITCH["twice"] = True
        for got, expected in zip(answers(module, x), answers(built(), x), strict=True):
            assert torch.equal(got, expected)
    finally:
        SWITCH["twice"] = False


@pytest.mark.parametrize("samples", [1, 2, 3, 9])
def test_other_inputs(samples):
    module, x = built(), inputs()
    answers(module, x)
    other = torch.randn(samples, 2, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for got, expected in zip(answers(module, other), answers(built(), other), strict=True):
        assert torch.equal(got, expected)
    wide = torch.cat([other, other], 2)
    assert record(module, wide).input_shape == (2, 8, 4)
    with torch.no_grad():
        assert torch.equal(ntk_trace(module.float(), other.float()), ntk_trace(built().float(), other.float()))


def test_values_that_are_asked_for_are_held():
    module, x = built(), inputs()
    graph = record(module, x)
    tensors = graph.tensors(module)
    with torch.no_grad():
        every, some = graph.run(tensors, x), graph.run(tensors, x, graph.gated())
    assert len(some) < len(every)
    assert graph.gated() <= some.keys()
    assert all(torch.equal(every[r], some[r]) for r in graph.gated())


class Counted(nn.Sequential):
    def forward(self, x):
        runs.append(len(x))
        return super().forward(x)


runs = []


def test_a_record_that_holds_costs_one_run_which_is_the_forward_pass():
    module = Counted(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    runs.clear()
    ntk_trace(module, x)
    assert runs == [2, 5]
    runs.clear()
    ntk_trace(module, x)
    saliency(module, "px", x)
    assert runs == [5, 5]
    runs.clear()
    saliency(module, "synflow", x)
    record(module, x)
    assert runs == [1, 1]


def test_a_kept_record_keeps_no_module_alive():
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    record(module, torch.randn(5, 3))
    gone = weakref.ref(module)
    assert known(module) is not None
    del module
    gc.collect()
    assert gone() is None


class Mixed(nn.Module):
    """Adds what another sample gives, times a parameter that is 0 at first."""

    def __init__(self, how):
        super().__init__()
        self.linear, self.how = nn.Linear(3, 2), how
        self.share = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        y = self.linear(x)
        if self.how == "pad":
            other = F.pad(y, (0, 0, 1, -1))
        elif self.how == "mean":
            other = y.mean(0).expand_as(y)
        else:
            other = y.flip(0) if self.how == "flip" else y.roll(1, 0)
        return y + other * self.share


@pytest.mark.parametrize("how", ["pad", "mean", "flip", "roll"])
def test_samples_that_begin_to_mix_are_seen(how):
    module, x = Mixed(how), torch.randn(4, 3)
    record_for(module, x)
    assert known(module) is None
    module.share.data.fill_(1.0)
    with pytest.raises(NotCovered, match="depends on the rest of the batch"):
        record_for(module, x)


def test_a_mask_that_becomes_a_factor_is_seen():
    module, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(4, 3)
    torch_prune.random_unstructured(module[0], "weight", amount=0.5)
    before = saliency(module, "synflow", x)
    module[0].weight_mask.mul_(0.5)
    with pytest.raises(NotCovered):
        saliency(module, "synflow", x)
    module[0].weight_mask.mul_(2.0)
    after = saliency(module, "synflow", x)
    assert all(torch.equal(before[n], after[n]) for n in before)


class Fixed(nn.Module):
    """Reshapes with numbers that are literals, or follow the batch."""

    def __init__(self, count):
        super().__init__()
        self.linear, self.count = nn.Linear(4, 2), count

    def forward(self, x):
        return self.linear(x.reshape(self.count or len(x), 4))


def test_a_literal_in_place_of_the_number_of_samples_is_seen():
    module, x = Fixed(0), torch.randn(5, 4)
    trace = ntk_trace(module, x)
    module.count = 5
    assert torch.equal(ntk_trace(module, x), trace)
    module.count = 3
    with pytest.raises(NotCovered):
        record(module, x)


def test_a_decision_on_data_that_appears_later_is_seen():
    module, x = built(), inputs()
    record(module, x)
    module.body[2].forward = lambda h: h if h.sum() > 0 else -h
    with pytest.raises(NotCovered, match="decides on a value"):
        record(module, x)
    module = built()
    record(module, x)
    module.body[2].forward = lambda h: h + torch.randn_like(h)
    with pytest.raises(NotCovered, match="draws random numbers"):
        record(module, x)


class Alike(nn.Linear):
    """A module that is equal to every other of its class."""

    def __hash__(self):
        return 1

    def __eq__(self, other):
        return isinstance(other, Alike)


def test_modules_that_pass_for_one_another():
    one, other, x = Alike(3, 2), Alike(3, 4, bias=False), torch.randn(4, 3)
    first = [ntk_trace(m, x, per_output=True) for m in (one, other)]
    again = [ntk_trace(m, x, per_output=True) for m in (other, one)]
    assert torch.equal(first[0], again[1])
    assert torch.equal(first[1], again[0])
