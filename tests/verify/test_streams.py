"""Streams of random numbers: independent of each other and of the initial weights of the same seed."""

import itertools

import pytest
import torch

from verify.networks import zoo
from verify.networks.scores.methods import saliency
from verify.networks.scores.prune import prune
from verify.trials.streams import stream, stream_seed

PURPOSES = ("mask", "data", "order", "weights 0", "weights 1")


def test_one_purpose_and_seed_is_one_stream():
    first, again = (torch.rand(5, generator=stream("mask", 3)) for _ in range(2))
    assert torch.equal(first, again)
    seeds = {stream_seed(p, s) for p, s in itertools.product(PURPOSES, range(200))}
    assert len(seeds) == 200 * len(PURPOSES)
    assert all(0 <= s < 2**63 for s in seeds)


@pytest.mark.parametrize("other", [("mask", 3), ("data", 2), ("weights", 2)])
def test_streams_are_uncorrelated_with_each_other_and_with_the_plain_seed(other):
    plain = torch.randn(4000, generator=torch.Generator().manual_seed(2))
    mask, there = (torch.randn(4000, generator=stream(*of)) for of in (("mask", 2), other))
    for a, b in itertools.combinations((plain, mask, there), 2):
        assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 5 / 4000**0.5


@pytest.mark.parametrize("how", ["random scores", "sampled"])
def test_masks_of_modules_that_are_drawn_know_nothing_of_the_weights(how):
    """The seed of the module and of its mask are the same; the kept weights are as large as all."""
    module = zoo.build("resnet20", seed=5)
    if how == "sampled":
        flat = torch.nn.Sequential(torch.nn.Linear(300, 300, bias=False), torch.nn.Linear(300, 3, bias=False))
        zoo.initialise(flat, 5)
        with torch.no_grad():
            flat[0].weight.copy_(flat[0].weight.sign() * (flat[0].weight.abs() > 0))
        masks = prune(flat, "magnitude", density=0.1, rounds=1, select="sample", seed=5, biases=False).masks
        weights = torch.randn(300, 300, generator=torch.Generator().manual_seed(5))
        kept = weights[masks["0.weight"]]
    else:
        found = saliency(module, "random", seed=5)
        own = dict(module.named_parameters())
        kept = torch.cat([
            (own[n] / own[n].std()).detach()[s > s.flatten().quantile(0.9)]
            for n, s in found.items()
            if s.numel() > 2000
        ])  # fmt: skip
    assert len(kept) > 2000
    assert abs(float(kept.mean())) < 4 / len(kept) ** 0.5
    assert abs(float(kept.abs().mean()) - 0.798) < 4 * 0.603 / len(kept) ** 0.5
