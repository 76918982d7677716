"""Path activation, kernel and objective of torch modules against enumeration in exact rationals."""

import pytest
import torch
from torch import nn

from tests.verify.networks.drawn import FAMILIES, module_on_data
from theory.scalars import floats
from verify.networks.exact.to_graph import network_on_data
from verify.networks.paths.bound import path_bound
from verify.networks.recording.graph import NotCovered as NotCovered

CASES = [(family, seed) for family in FAMILIES for seed in range(4)]


def assert_same(got, expected):
    """Equal to within the rounding of float64 evaluation of a handful of layers."""
    expected = torch.as_tensor(floats(expected))
    assert got.shape == expected.shape
    assert torch.allclose(got, expected, rtol=1e-13, atol=0), (got, expected)


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_outputs_of_the_translation(family, seed):
    module, x = module_on_data(family, seed)
    expected = torch.as_tensor(floats(network_on_data(module, x).outputs()))
    got = module(x).detach()
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-12), (got, expected)


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_sums_are_those_of_the_enumeration(family, seed):
    module, x = module_on_data(family, seed)
    instance = network_on_data(module, x)
    bound = path_bound(module, x)
    assert_same(bound.activation_per_output, instance.activation_per_output())
    assert_same(bound.kernel_per_output, instance.kernel_per_output())
    assert_same(bound.objective_per_output, instance.objective_per_output())
    assert_same(bound.bound, instance.path_activation() * instance.path_kernel_trace())
    assert_same(bound.per_output, instance.activation_per_output() * instance.kernel_per_output())


def test_masked_weights_are_no_edges():
    """A mask must act like a smaller network, not like a zero weight (whose path still has a gate)."""
    wide = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    narrow = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        wide[0].weight.copy_(torch.tensor([[2.0, 1.0], [3.0, 1.0]]))
        wide[2].weight.copy_(torch.tensor([[5.0, 7.0]]))
        narrow[0].weight.copy_(wide[0].weight[:1])
        narrow[2].weight.copy_(wide[2].weight[:, :1])
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    masks = {"0.weight": torch.tensor([[1.0, 1.0], [0.0, 0.0]]), "2.weight": torch.tensor([[1.0, 0.0]])}
    masked, expected = path_bound(wide, x, masks=masks), path_bound(narrow, x)
    assert masked.activation == expected.activation == 5
    assert masked.kernel == expected.kernel
    assert masked.objective_per_output == expected.objective_per_output


def test_max_pooling_copies_the_argmax_and_sums_the_window():
    """Running the same architecture on squared weights would take the wrong chain (CLAIMS, auxiliary networks)."""
    module = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.MaxPool1d(2), nn.Flatten()).double()
    with torch.no_grad():
        module[0].weight.fill_(3.0)
    bound = path_bound(module, torch.tensor([[[1.0, 2.0]]], dtype=torch.float64))
    assert bound.activation == 4
    assert bound.objective_per_output == 18
    assert bound.kernel == 2


def test_what_has_no_paths_is_named():
    module = nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 1)).double()
    x = torch.ones(1, 2, dtype=torch.float64)
    with pytest.raises(NotCovered, match="1: gelu"):
        path_bound(module, x)
    assert path_bound(module, x, formal=True).bound > 0
    with pytest.raises(ValueError, match="1: gelu"):
        network_on_data(module, x)
