"""One pass over a recorded module, with a method for each kind of operation.

Whatever is computed along a graph is a subclass: sums over paths, rounding bounds, fixed-point evaluation, the
translation into a network of units. A kind that a subclass has no method for is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from verify.networks.recording.graph import Graph, Operation, Ref, no_paths, replay, store

Values = Mapping[Ref, Any]


class Walk:
    """A pass over ``graph``.

    Args:
        graph: the record.
        tensors: parameters, buffers and constants by name; views of parameters are made from them.
    """

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor]) -> None:
        self.graph, self.tensors = graph, graph.with_views(tensors)

    def run(self, start: Any) -> dict[Ref, Any]:
        """The value of every operation, from that of the input."""
        values: dict[Ref, Any] = {Ref(-1): start}
        for i, op in enumerate(self.graph.operations):
            store(values, i, self.step(i, op, values))
        return values

    def at_output(self, start: Any) -> Any:
        """The value at the output, from that of the input; no value is held longer than it is read."""
        values, last = {Ref(-1): start}, self.graph.last_reads()
        for i, op in enumerate(self.graph.operations):
            store(values, i, self.step(i, op, values))
            for r in op.inputs:
                if last.get(r) == i:
                    values.pop(r, None)
        return values[self.graph.output]

    def step(self, index: int, op: Operation, values: Values) -> Any:
        """The value of one operation: what the method of its kind gives."""
        return getattr(self, op.kind)(op, values)

    def layer(self, op: Operation, values: Values) -> Any:
        """A linear map, a convolution, or a product with a matrix in another shape."""
        raise no_paths(op)

    def linear(self, op: Operation, values: Values) -> Any:
        """``x W^T + b`` with parameters (or constants) as they are."""
        return self.layer(op, values)

    def convolution(self, op: Operation, values: Values) -> Any:
        """A convolution in one to three dimensions."""
        return self.layer(op, values)

    def matrix(self, op: Operation, values: Values) -> Any:
        """``x W`` or ``x W^T`` with a view of a parameter."""
        return self.layer(op, values)

    def product(self, op: Operation, values: Values) -> Any:
        """Entries times those of a parameter or constant."""
        raise no_paths(op)

    def shift(self, op: Operation, values: Values) -> Any:
        """Entries plus those of a parameter or constant."""
        raise no_paths(op)

    def normalisation(self, op: Operation, values: Values) -> Any:
        """Batch normalisation with stored statistics."""
        raise no_paths(op)

    def gate(self, op: Operation, values: Values) -> Any:
        """A (leaky) ReLU."""
        raise no_paths(op)

    def maximum(self, op: Operation, values: Values) -> Any:
        """Max pooling."""
        raise no_paths(op)

    def average(self, op: Operation, values: Values) -> Any:
        """A mean or sum over axes or windows."""
        raise no_paths(op)

    def add(self, op: Operation, values: Values) -> Any:
        """The sum or difference of two values."""
        raise no_paths(op)

    def scale(self, op: Operation, values: Values) -> Any:
        """A value times a number."""
        raise no_paths(op)

    def shape(self, op: Operation, values: Values) -> Any:
        """Entries moved, copied or joined."""
        return replay(op, self.tensors, values, len(values[op.inputs[0]]))

    def unknown(self, op: Operation, values: Values) -> Any:
        """What forward makes for a batch of this size is no operation on data; anything else is refused."""
        if op.inputs or op.parameters:
            raise no_paths(op)
        return replay(op, self.tensors, values, self.samples(values))

    @staticmethod
    def samples(values: Values) -> int:
        """Number of samples that the input has."""
        return len(values[Ref(-1)])


__all__ = ["Values", "Walk"]
