"""No public function changes the module that it is given: not on success, not on an error, not when interrupted."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import verify
from verify.networks.scores.methods import METHODS

LABELS = torch.tensor([0, 1, 0, 1])


class Calls(nn.Module):
    """A module that raises what it is told to in one of the calls of its forward."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.left, self.error = inner, -1, None

    def forward(self, x):
        # Kept where no snapshot of the module looks.
        PLAN["calls"] += 1
        out = self.inner(x)
        if PLAN["calls"] == PLAN["at"]:
            raise PLAN["error"]
        return out


PLAN = {"calls": 0, "at": 0, "error": None}


class Writes(nn.Module):
    """Writes to its buffers and attributes in each call, as spectral normalisation or a cache of positions do."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(4))
        self.kept, self.history = None, []

    def forward(self, x):
        self.count += 1
        h = F.relu(self.a(x))
        self.seen.copy_(h.detach().mean(0))
        self.kept = h
        self.history.append(len(x))
        return self.b(h)


class Clamps(nn.Module):
    """Writes to a parameter past autograd, and draws random numbers."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        self.a.weight.data.clamp_(-0.1, 0.1)
        return F.dropout(self.b(F.relu(self.a(x))), 0.5, True)


class Alias(nn.Module):
    """The same parameter under two names, and the same submodule in two places of two containers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
        self.again = nn.ModuleDict({"one": self.blocks[0], "two": self.first})
        self.weight = self.first.weight

    def forward(self, x):
        h = F.relu(self.first(x))
        for block in self.blocks:
            h = F.relu(block(h))
        return h @ self.weight


class Steps(nn.Module):
    """One submodule of its own and a scripted one."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.jit.script(nn.Sequential(nn.Linear(3, 4), nn.ReLU())), nn.Linear(4, 2)

    def forward(self, x):
        return self.b(self.a(x))


def shared():
    a = nn.Linear(3, 3)
    return nn.Sequential(a, nn.ReLU(), a)


MODULES = {
    "plain": lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
    "one module under two names": shared,
    "aliases": Alias,
    "normalised, with dropout": lambda: nn.Sequential(
        nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.ReLU(), nn.Linear(3, 2)
    ),
    "parametrised": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 2)),
    "spectral": lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 2)),
    "writes to its buffers": Writes,
    "writes to its parameters": Clamps,
    "scripted": Steps,
    "recurrent": lambda: nn.Sequential(nn.Unflatten(1, (3, 1)), Last(), nn.Linear(2, 2)),
}


class Last(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(1, 2, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0][:, -1]


def on_data(method):
    return lambda m, x: verify.saliency(m, method, x, LABELS)


QUANTITIES = {
    "ntk_trace": verify.ntk_trace,
    "ntk_trace_estimate": verify.ntk_trace_estimate,
    "path_bound": verify.path_bound,
    "assumptions": verify.assumptions,
    **{f"saliency {m}": on_data(m) for m in METHODS},
    "prune px": lambda m, x: verify.prune(m, "px", density=0.5, rounds=6, x=x),
    "prune grasp": lambda m, x: verify.prune(m, "grasp", density=0.5, rounds=2, x=x, y=LABELS),
    "prune synflow": lambda m, x: verify.prune(m, "synflow", density=0.5, rounds=2, x=x),
}


def state(module):
    """Everything that must be as before: identities and values."""
    kept = []
    for m in module.modules():
        hooks = [] if isinstance(m, torch.jit.ScriptModule) else [
            (k, list(v.items())) for k, v in vars(m).items() if "hooks" in k and hasattr(v, "items")
        ]  # fmt: skip
        kept.append((id(m), m.training, hooks, sorted(k for k in vars(m))))
    for name, t in [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]:
        grad = None if t.grad is None else (id(t.grad), t.grad.tolist())
        kept.append((name, id(t), type(t), t.tolist(), t.requires_grad, t.data_ptr(), grad, t.dtype))
    attributes = [(m.kept, list(m.history)) for m in module.modules() if isinstance(m, Writes)]
    return kept, attributes


def generators():
    return torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002


def made(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Calls(MODULES[name]())
        # Some modes, gradients and frozen parameters that somebody chose.
        module.train()
        modules = list(module.modules())
        if not any(isinstance(m, torch.jit.ScriptModule) for m in modules):
            modules[-1].eval()
        for i, p in enumerate(module.parameters()):
            p.grad = torch.full_like(p, i) if i % 2 else None
        next(module.parameters()).requires_grad_(False)
        module.inner.register_forward_hook(lambda _m, _i, out: out)
        return module, torch.randn(4, 3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("name", MODULES)
def test_module_and_generators_are_as_before(name, quantity):
    module, x = made(name)
    before, drawn = state(module), generators()
    for error in (None, RuntimeError("broken"), KeyboardInterrupt()):
        # In the first calls, and further on in loops over samples and rounds.
        for at in (1, 2, 3, 5) if error else (0,):
            PLAN.update(calls=0, at=at, error=error)
            raised = None
            try:
                QUANTITIES[quantity](module, x)
            except (ValueError, RuntimeError, KeyboardInterrupt) as e:
                raised = e
            assert state(module) == before, (error, at)
            assert generators() == drawn, (error, at)
            assert raised is None or isinstance(raised, ValueError) or raised is error
            if isinstance(error, KeyboardInterrupt) and PLAN["calls"] >= at:
                assert raised is error
    PLAN.update(at=0)
    assert len(module(x)) == len(x)


def test_what_is_no_module_is_named():
    with pytest.raises(TypeError, match=r"ntk_trace needs a torch\.nn\.Module as its first argument; got function"):
        verify.ntk_trace(lambda x: x, torch.ones(1, 3))
