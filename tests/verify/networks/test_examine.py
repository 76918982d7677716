"""What `verify.examine` says of a module: what protects it, what does not apply, what fails, what stays open."""

import itertools

import pytest
import torch
from torch import nn

from theory.claims import Status, claim_named
from verify import examine
from verify.networks.claims.examine import examined
from verify.networks.claims.subject import Subject
from verify.search.outcome import Outcome


def wide(act=nn.ReLU, bias=True):
    generator = torch.Generator().manual_seed(0)
    widths = (24, 16, 16, 10)
    layers = [b for a, c in itertools.pairwise(widths) for b in (nn.Linear(a, c, bias=bias), act())]
    module = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5)
    return module, torch.randn(4, 24, generator=generator)


@pytest.fixture(scope="module")
def plain():
    return examine(*wide(bias=False), name="plain", examples=6)


def test_what_the_module_is(plain):
    assert (plain.layers, plain.parameters, plain.inputs, plain.outputs) == (3, 24 * 16 + 16 * 16 + 16 * 10, 4, 10)
    # Every choice of an input, two hidden units and an output.
    assert plain.log10_paths == pytest.approx(torch.tensor(24.0 * 16 * 16 * 10).log10().item())
    assert "10^4.8 paths" in str(plain)


def test_every_claim_about_networks_stands_in_one_place(plain):
    named = [c for part in (plain.protects, plain.beliefs, plain.unseen, plain.undecided) for c in part]
    outside = [c for group in plain.apart for c in group.claims]
    assert len(named) + len(outside) == len({*(e.claim for e in named), *outside}) == len(plain.outcomes)
    assert all(claim_named(e.claim).status is Status.PROVED for e in plain.protects)
    assert all(claim_named(e.claim).status is not Status.PROVED for e in (*plain.beliefs, *plain.unseen))


def test_what_protects_and_what_fails(plain):
    assert "path-exclusion/trace-bound" in [e.claim for e in plain.protects]
    # Equalities that agree to a rounding bound protect as well: that they cannot be more is said.
    agreeing = next(e for e in plain.protects if e.claim == "path-exclusion/kernel-by-gradient")
    assert "agree" in agreeing.text
    failed = {e.claim: e.text for e in plain.beliefs}
    assert "path-exclusion/score-without-theta-ranks-the-same" in failed
    assert all("\n" not in text for text in failed.values())


def test_facts_in_numbers(plain):
    facts = " ".join(plain.facts)
    assert "rank correlation of PX and SynFlow-L2 in the first round: 1.000" in facts
    assert "bound / trace = 10^" in facts
    assert "magnitude" in facts


def test_text_and_markdown_hold_the_same(plain):
    text, marked = str(plain), plain.markdown()
    for part in ("protect", "do not apply", "fail", "stays open"):
        assert part in text
        assert part in marked
    assert marked.startswith("# plain\n")
    for e in (*plain.protects, *plain.beliefs):
        assert e.claim in marked
        assert e.title.rstrip(".") in text


class Normed(nn.Module):
    def __init__(self, places):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6, bias=False) for _ in range(places))
        self.norms = nn.ModuleList(nn.BatchNorm1d(6) for _ in range(places))
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(x)).relu()
        return self.head(x)


def test_places_are_grouped_and_counted():
    module = Normed(5).eval()
    found = examine(module, torch.randn(3, 6, generator=torch.Generator().manual_seed(1)), examples=4)
    assert "normalisation shifts are biases: norms.0, norms.1, norms.2 and 2 more (5 places)" in str(found)
    assert "linear maps and convolutions have biases: head" in str(found)


def test_a_module_to_which_little_applies_says_why_once():
    found = examine(*wide(act=nn.GELU), examples=3)
    group = next(g for g in found.apart if g.why.startswith("piecewise-linear"))
    assert "GELU is not piecewise linear: 1, 3" in group.why
    assert len(group.claims) > 20
    assert str(found).count("GELU is not piecewise linear") == 1
    assert not found.protects


def test_outcomes_that_are_known_are_not_sought_again():
    subject = Subject(*wide())
    outcome = Outcome("path-exclusion/trace-bound", verdict="survived", examples=3, smallest_margin=0.5)
    found = examined(subject, [outcome], facts=False)
    assert [e.claim for e in found.protects] == ["path-exclusion/trace-bound"]
    assert found.facts == ()


def test_the_module_is_left_as_it_was():
    module, x = wide()
    module.train()
    before = {n: t.clone() for n, t in module.state_dict().items()}
    state = torch.get_rng_state()
    examine(module, x, examples=2)
    assert module.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[n], t) for n, t in module.state_dict().items())
