"""Path sums in extended precision against the enumeration of paths, and against torch."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.verify.networks.drawn import module_on_data
from theory.paths import on_path
from theory.scalars import floats
from verify.networks import zoo
from verify.networks.exact.to_graph import network_on_data
from verify.networks.recording.graph import NotCovered as NotCovered
from verify.networks.recording.record import record
from verify.networks.scores.methods import saliency
from verify.studies.extended import PathSums


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", ["mlp", "mlp-bias"])
def test_scores_are_sums_over_paths(family, seed):
    module, x = module_on_data(family, seed)
    instance = network_on_data(module, x)
    v = floats(instance.path_values())
    graph = record(module, x)
    for power in (1, 2):
        sums = PathSums(graph, graph.tensors(module), power, np.longdouble)
        weight = np.abs(v) ** power
        directions = np.arange(1, 1 + graph.output_shape[0])
        by_path = weight * directions[list(instance.paths.outputs)]
        expected = (by_path[:, None] * (on_path(instance.network) > 0)).sum(axis=0)
        names = [n for n, _ in module.named_parameters()]
        found, total = sums.scores(names, directions)
        flat = np.concatenate([found[n].ravel() for n in names])
        assert found[names[0]].dtype == np.longdouble
        np.testing.assert_allclose(flat.astype(float), expected, rtol=1e-13)
        assert float(total) == pytest.approx(by_path.sum(), rel=1e-13)


class Pooled(nn.Module):
    """Every operation that the zoo's convolutional networks have."""

    def __init__(self):
        super().__init__()
        self.a, self.bn = nn.Conv2d(2, 3, 3, 2, 1), nn.BatchNorm2d(3)
        self.b, self.pool = nn.Conv2d(3, 3, 1), nn.MaxPool2d(3, 2, 1)
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        h = self.bn(self.a(x)).relu()
        return self.fc((self.pool(h + self.b(h))).mean((2, 3)).flatten(1) / 3)


@pytest.mark.parametrize("method", ["synflow", "synflow-l2"])
@pytest.mark.parametrize("biases", [True, False])
def test_agrees_with_torch_on_convolutions(method, biases):
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Pooled().double().eval()
    with torch.no_grad():
        for t in module.state_dict().values():
            if t.is_floating_point():
                t.copy_(torch.rand(t.shape, generator=generator, dtype=torch.float64) + 0.5)
    x = torch.randn(2, 2, 8, 8, generator=generator, dtype=torch.float64)
    expected = saliency(module, method, x, biases=biases, rescale=False, scored="all")
    graph = record(module, x)
    sums = PathSums(graph, graph.tensors(module), 1 if method == "synflow" else 2, np.longdouble, biases=biases)
    found, _ = sums.scores(list(expected), np.ones(2))
    for n, e in expected.items():
        np.testing.assert_allclose(found[n].astype(float), e.numpy(), rtol=1e-12, err_msg=n)


def test_what_is_not_covered_is_named():
    module = zoo.build("vit", dim=8, depth=1, heads=1).double()
    x = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    graph = record(module, x)
    with pytest.raises(NotCovered, match="not covered in extended precision"):
        PathSums(graph, graph.tensors(module), 2, np.longdouble).outputs()
