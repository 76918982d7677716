"""The bound on the NTK trace by path activation and path kernel, for a torch module."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from verify.networks.paths.sums import Masks, path_activation, path_kernel, roundings
from verify.networks.recording.checks import check_finite
from verify.networks.recording.coverage import check_paths
from verify.networks.recording.graph import Graph
from verify.networks.recording.modes import untouched
from verify.networks.recording.record import record_for


@dataclass(frozen=True)
class PathBound:
    """The bound tr Theta(X, X) <= sum_k D_k T_k <= (sum_k D_k)(sum_k T_k) and its factors, in float64.

    Attributes:
        activation_per_output: D_k, shape (K,).
        kernel_per_output: T_k, shape (K,).
        objective_per_output: R_k, shape (K,).
        roundings: n such that each of these numbers has relative error at most n u / (1 - n u), u = 2^-53.
    """

    activation_per_output: Tensor
    kernel_per_output: Tensor
    objective_per_output: Tensor
    roundings: int

    @property
    def activation(self) -> Tensor:
        """The squared Frobenius norm of J_v^f(X)."""
        return self.activation_per_output.sum()

    @property
    def kernel(self) -> Tensor:
        """The trace of the path kernel."""
        return self.kernel_per_output.sum()

    @property
    def bound(self) -> Tensor:
        """Activation times kernel."""
        return self.activation * self.kernel

    @property
    def per_output(self) -> Tensor:
        """D_k T_k, shape (K,); its sum is the sharper bound."""
        return self.activation_per_output * self.kernel_per_output

    @property
    def objective(self) -> Tensor:
        """sum_k D_k R_k, what path exclusion differentiates."""
        return (self.activation_per_output * self.objective_per_output).sum()


@untouched
def path_bound(
    module: nn.Module,
    x: Tensor,
    *,
    masks: Masks | None = None,
    formal: bool = False,
    graph: Graph | None = None,
) -> PathBound:
    """Path activation, kernel and bound of a module on inputs.

    Args:
        module: the module, in evaluation mode for this; computed in float64.
        x: inputs, samples first.
        masks: 0/1 tensors by parameter name: masked weights are no edges.
        formal: treat smooth activations as ReLU gates (the sums then bound nothing by themselves).
        graph: the module's record, if it was made already.

    Raises:
        NotCovered: an operation through which there are no paths, or a parameter twice on one; names it.
        ValueError: as `verify.networks.ntk.trace.ntk_trace`.
    """
    graph = record_for(module, x) if graph is None else graph
    check_finite(module, x)
    check_paths(graph, formal=formal)
    if not graph.parameters:
        raise ValueError("the module has no parameters: there are no paths through weights")
    tensors = graph.tensors(module, torch.float64)
    x = x.detach().double()
    with torch.no_grad():
        if masks:
            tensors = {n: t * masks[n] if n in masks else t for n, t in tensors.items()}
        values = graph.run(tensors, x, graph.gated())
        d = path_activation(graph, tensors, values, masks=masks, formal=formal)
        r, t = path_kernel(graph, tensors, masks=masks, formal=formal)
    return PathBound(d, t, r, roundings(graph, tensors, len(x)))


__all__ = ["PathBound", "path_bound"]
