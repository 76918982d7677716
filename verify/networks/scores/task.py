"""What a scorer is asked, and what several of them compute from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from verify.networks.paths.sums import Pass, Scaled, activation, gradients
from verify.networks.recording.checks import check_alone
from verify.networks.recording.coverage import check_paths
from verify.networks.recording.graph import Graph, Ref
from verify.networks.recording.record import record_and_run, record_and_walk, record_for
from verify.networks.recording.windows import laid_out

HELD = 1 << 29
"""Bytes that the values of a forward pass may take to be kept from the recording run."""


@dataclass(frozen=True)
class Scores:
    """Scores and what was met on the way.

    Attributes:
        values: one tensor a scored parameter, in that parameter's shape.
        log10_objective: log10 of R, the sum of the path weights (-inf for 0; None for other methods).
        activation: D_k up to one common factor, shape (K,), for PX.
    """

    values: dict[str, Tensor]
    log10_objective: float | None = None
    activation: Tensor | None = None


@dataclass
class Task:
    """What a scorer is asked: arguments as those of `scores`, and what several scorers compute from them."""

    module: nn.Module
    names: Sequence[str]
    x: Tensor | None = None
    y: Tensor | None = None
    masks: Mapping[str, Tensor] | None = None
    biases: bool = True
    frozen: Tensor | None = None
    rescale: bool = True
    seed: int = 0
    statistics: str = "evaluation"
    temperature: float = 1.0
    graph: Graph | None = None
    _values: dict[Ref, Tensor] | None = field(default=None, repr=False)

    @cached_property
    def theta(self) -> dict[str, Tensor]:
        """Detached parameters by name, with masked weights 0."""
        found = {n: p.detach() for n, p in self.module.named_parameters()}
        return {n: p * self.masks[n].to(p) if self.masks and n in self.masks else p for n, p in found.items()}

    @property
    def inputs(self) -> Tensor:
        """The inputs, which were checked to be there."""
        assert self.x is not None
        return self.x.detach()

    @property
    def labels(self) -> Tensor:
        """The labels or targets, which were checked to be there."""
        assert self.y is not None
        return self.y

    def recorded(self) -> Graph:
        """The module's record, if sums over paths are defined for it."""
        if self.graph is None:
            self.graph = record_for(self.module, self.inputs)
        check_paths(self.graph)
        return self.graph

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the masked module."""
        return self.recorded().tensors(self.module) | self.theta

    @torch.no_grad()
    def values(self) -> Mapping[Ref, Tensor]:
        """Forward values of the masked module that are gates, from the recording run where that was on all inputs."""
        if self._values is None and self.graph is None and not self.masks:
            self.graph, self._values = record_and_run(self.module, laid_out(self.inputs), HELD, once=True)
            check_alone(self.graph)
        if self._values is None:
            graph = self.recorded()
            self._values = graph.run(self.tensors, laid_out(self.inputs), graph.gated())
        return self._values

    def activation(self, masks: Mapping[str, Tensor] | None = None) -> Scaled:
        """sum_{p -> k} a_p(x_n)^2 x_{n,s(p)}^2 over the paths through unmasked weights, (n, K)."""
        values, graph = self.values(), self.recorded()
        masks = self.masks if masks is None else masks
        with torch.no_grad():
            return activation(graph, self.tensors, values, masks=masks, constant=self.biases, rescale=self.rescale)

    def activation_per_output(self) -> Scaled:
        """D_k, (K,)."""
        d = self.activation()
        return Scaled(d.value.sum(0), d.exponent)

    def flow(self, weights: Mapping[str, Tensor], power: int) -> Scaled:
        """R_k = sum_{p -> k} of the products of ``weights``, (1, K), differentiable in them."""
        one = torch.ones_like(self.inputs[:1])

        def walk(graph: Graph) -> Pass:
            check_paths(graph)
            tensors = graph.tensors(self.module) | self.theta
            return Pass(graph, tensors, weights, power, constant=self.biases, rescale=self.rescale)

        if self.graph is not None:
            return walk(self.graph).sums(one)
        made, out = record_and_walk(self.module, self.inputs, one, walk)
        self.graph = made.graph
        return made.scaled(out)

    def weights(self, power: int) -> dict[str, Tensor]:
        """|theta|^power by name, of which autograd gives the derivatives by the scored ones."""
        out = {n: p.abs() if power == 1 else p * p for n, p in self.theta.items()}
        for n in self.names:
            out[n].requires_grad_()
        return out

    def scored(self, objective: Tensor, weights: Mapping[str, Tensor], exponent: int) -> Scores:
        """Each scored weight times the derivative of the objective by it."""
        derivatives = gradients(objective, [weights[n] for n in self.names])
        found = {n: (weights[n] * g).detach() for n, g in zip(self.names, derivatives, strict=True)}
        return Scores(found, Scaled(objective.detach(), exponent).log10())
