"""Which modules sums over paths are defined for: the one answer that every quantity about paths gives."""

from __future__ import annotations

from verify.networks.recording.graph import UNKNOWN, Graph, NotCovered, Operation, no_paths
from verify.networks.recording.windows import SMOOTH


def not_understood(graph: Graph) -> list[Operation]:
    """The operations that are not those of a piecewise-linear network."""
    return [op for op in graph.operations if op.kind == UNKNOWN and (op.inputs or op.parameters)]


def twice_on_a_path(graph: Graph) -> list[tuple[str, Operation, Operation]]:
    """The parameters that stand twice on one path, with the two operations that read them."""
    after: list[set[int]] = []
    for op in graph.operations:
        before: set[int] = set()
        for r in op.inputs:
            if r.index >= 0:
                before |= {r.index} | after[r.index]
        after.append(before)
    out = []
    for name, readers in graph.readers().items():
        pairs = [(i, j) for j in readers for i in readers if i in after[j]]
        out += [(name, graph.operations[i], graph.operations[j]) for i, j in pairs]
    return out


def check_paths(graph: Graph, *, formal: bool = False) -> None:
    """Raise unless sums over the paths of a module are defined.

    Args:
        graph: the record.
        formal: whether smooth activations are taken for gates.

    Raises:
        NotCovered: names the first operation through which there are no paths, or a parameter that stands twice on
            one (then the square of a derivative is not a sum over paths of squares).
    """
    if graph.has_paths:
        return
    for op in not_understood(graph):
        if not (formal and op.name.rstrip("_") in SMOOTH and len(op.inputs) == 1):
            raise no_paths(op)
    for name, one, other in twice_on_a_path(graph):
        why = f"stands twice on a path, in {one.label} and in {other.label}"
        raise NotCovered("", name, why, "path sums")
    graph.has_paths = not formal


__all__ = ["check_paths", "not_understood", "twice_on_a_path"]
