"""Mutants of the source: one small mistake each in a claim or a definition of `theory`, made from its syntax tree.

What is mutated is what the papers say: claims, assumptions, definitions. What is not: the machinery by which claims
are stated, read and decided (`PLUMBING`), how instances are drawn that break an assumption (functions of a chooser),
text, JSON and which numbers are an instance at all (`TEXTS`), input checks that raise (``strict=True`` is one), what
runs on symbols only, and what experiments decide.
"""

from __future__ import annotations

import ast
import copy
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLUMBING = {"__init__", "claims", "experiments", "instances", "names", "reading", "relations", "scalars", "sources"}
TEXTS = {"__init__", "__init_subclass__", "__post_init__", "__repr__", "__str__", "equations", "from_json", "key",
         "read_field", "simpler", "size", "smaller", "structure_size", "summary", "to_json", "valid"}  # fmt: skip
CHOOSERS = {"c", "chooser"}
"""The first parameter of a function that draws."""

_ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add,), ast.Div: (ast.Mult,), ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.FloorDiv,), ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
_NAMES = {
    "min": "max", "max": "min", "any": "all", "all": "any", "sum": "max", "argmin": "argmax", "argmax": "argmin",
    "minimum": "maximum", "maximum": "minimum", "at_most": "equal", "less": "at_most", "equal": "at_most",
    "zeros": "ones", "ones": "zeros", "floor": "ceil", "ceil": "floor", "cumsum": "cumprod", "product": "permutations",
    "positive": "nonnegative",
}  # fmt: skip
_CONTAINERS = {"Fraction", "arb", "bool", "dict", "enumerate", "float", "fmpq", "int", "len", "list", "range",
               "reversed", "set", "sorted", "str", "tuple"}  # fmt: skip
_SWAPPED = {"at_most", "less", "sub", "minimum"}
"""Calls of two arguments whose order matters; others change little or raise."""


@dataclass(frozen=True)
class Mutant:
    """One change of the source.

    Attributes:
        file: "theory/sketches.py".
        where: the qualified name of the outermost function or method.
        line: where it starts, and ``last`` where it ends.
        kind: what kind of mistake.
        before, after: the smallest expression around it, as source.
        nth: which of several equal ones in one function, from 0.
        node, variant: which node of the file's tree (in the order of `ast.walk`), and which of its `variants`.
    """

    file: str
    where: str
    line: int
    last: int
    kind: str
    before: str
    after: str
    nth: int
    node: int
    variant: int

    @property
    def name(self) -> str:
        """The name under which it is recorded: no line numbers, so that it outlives other changes of the file."""
        again = f" #{self.nth + 1}" if self.nth else ""
        return f"{self.file} {self.where}: {self.before} -> {self.after}{again}"


def files() -> list[Path]:
    """The files that are mutated, definitions first."""
    top = sorted((ROOT / "theory").glob("*.py"))
    papers = sorted((ROOT / "theory" / "papers").glob("**/*.py"))
    return [p for p in (*top, *papers) if p.stem not in PLUMBING]


@functools.cache
def mutants() -> tuple[Mutant, ...]:
    """Every mutant, file by file, in the order of the source."""
    return tuple(m for p in files() for m in of_source(p.read_text(), str(p.relative_to(ROOT))))


def of_source(source: str, file: str) -> Iterator[Mutant]:
    """The mutants of one file."""
    tree = ast.parse(source)
    seen: Counter[tuple[str, str, str]] = Counter()
    index = {id(n): i for i, n in enumerate(ast.walk(tree))}
    for where, node, context in _sites(tree):
        for v, (kind, new) in enumerate(variants(node)):
            before, after = _text(node, context), _text(new, context)
            if before == after:
                continue
            key = (where, before, after)
            yield Mutant(
                file, where, node.lineno, node.end_lineno or node.lineno, kind, before, after, seen[key],
                index[id(node)], v,
            )  # fmt: skip
            seen[key] += 1


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """The tree of a file with one mutant in it."""
    tree = ast.parse(source)
    target = next(n for i, n in enumerate(ast.walk(tree)) if i == mutant.node)
    new = variants(target)[mutant.variant][1]
    for child in ast.walk(new):
        if not hasattr(child, "lineno") and "lineno" in child._attributes:
            ast.copy_location(child, target)
    ast.copy_location(new, target)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, new)
                return ast.fix_missing_locations(tree)
            if isinstance(value, list) and any(v is target for v in value):
                value[:] = [new if v is target else v for v in value]
                return ast.fix_missing_locations(tree)
    raise LookupError(f"{mutant.name}: not in the source")


def _sites(tree: ast.Module) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """(function, node, "slice" or "") of everything that may be changed, outermost first."""

    def within(node: ast.AST, where: str, inside: bool, context: str) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            first = next((a.arg for a in (*node.args.posonlyargs, *node.args.args)), "")
            if first in CHOOSERS:
                return
        if isinstance(node, ast.ClassDef):
            for n in node.body:
                yield from within(n, f"{where}.{node.name}".lstrip("."), inside, "")
            return
        if isinstance(node, ast.FunctionDef):
            if node.name in TEXTS:
                return
            name = where if inside else f"{where}.{node.name}".lstrip(".")
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            for n in body:
                yield from within(n, name, True, "")
            return
        if isinstance(node, ast.Lambda):
            yield from within(node.body, where or "lambda", True, "")
            return
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr) or (
            isinstance(node, ast.If)
            and (all(isinstance(n, ast.Raise) for n in node.body) or "is_registered" in ast.unparse(node.test))
        ):
            return
        if isinstance(node, ast.keyword) and node.arg == "strict":
            return
        if not inside and isinstance(node, ast.Assign):
            where = ast.unparse(node.targets[0])
        if inside and isinstance(node, ast.expr | ast.stmt) and variants(node):
            yield where, node, context
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
            return  # the number was changed with its sign
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "func") and not (
                name == "func" and isinstance(value, ast.Attribute)
            ):
                continue
            inner = "slice" if name == "slice" else context
            for n in value if isinstance(value, list) else [value]:
                if isinstance(n, ast.AST) and not isinstance(n, ast.Slice | ast.expr_context):
                    yield from within(n, where, inside, inner)
                elif isinstance(n, ast.Slice):
                    yield from within(n, where, inside, "slice")

    for n in tree.body:
        yield from within(n, "", False, "")


def variants(node: ast.AST) -> list[tuple[str, ast.expr | ast.stmt]]:
    """The mistakes that can be made at a node: (kind, the node instead)."""
    make = _MAKERS.get(type(node))
    return list(make(node)) if make else []


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _binary(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    for other in _ARITHMETIC.get(type(node.op), ()):
        yield "operator", _changed(node, op=other())
    # A term less, a factor less; a base without its exponent, a numerator without its denominator.
    if type(node.op) in _ARITHMETIC:
        yield "term dropped", node.left
    if isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
        yield "term dropped", node.right


def _unary(node: ast.UnaryOp) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.operand, ast.Constant):
        if isinstance(node.op, ast.USub) and type(node.operand.value) is int:
            k = node.operand.value
            yield "index or axis", ast.Constant(-k - 1) if k == 1 else ast.Constant(-k + 1)
            if k == 1:
                yield "index or axis", ast.Constant(0)
        return
    yield "sign or negation", node.operand


def _compare(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for other in _COMPARISONS.get(type(node.ops[0]), ()):
        yield "comparison", _changed(node, ops=[other(), *node.ops[1:]])


def _boolean(node: ast.BoolOp) -> Iterator[tuple[str, ast.AST]]:
    yield "and, or", _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for i in range(len(node.values)):
        left = [v for j, v in enumerate(node.values) if j != i]
        yield "term dropped", left[0] if len(left) == 1 else _changed(node, values=left)


def _constant(node: ast.Constant) -> Iterator[tuple[str, ast.AST]]:
    value = node.value
    if isinstance(value, bool):
        yield "truth value", ast.Constant(not value)
    elif isinstance(value, int | float):
        for new in dict.fromkeys((value + 1, 2 * value, 0 * value)):
            if new != value:
                yield "constant", ast.Constant(new)


def _call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("all_of",):
        for i in range(len(node.args)):
            yield "statement dropped", _changed(node, args=[a for j, a in enumerate(node.args) if j != i])
        return
    if name in _NAMES:
        other = _NAMES[name]
        func = _changed(node.func, attr=other) if isinstance(node.func, ast.Attribute) else ast.Name(other, ast.Load())
        yield "another function", _changed(node, func=func)
    if name in _SWAPPED and len(node.args) >= 2:
        yield "sides exchanged", _changed(node, args=[node.args[1], node.args[0], *node.args[2:]])
    one = len(node.args) == 1 and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp)
    plain = isinstance(node.func, ast.Name) and name not in _CONTAINERS
    if one and plain and name[:1].islower() and all(k.arg == "axis" for k in node.keywords):
        yield "function dropped", node.args[0]


def _subscript(node: ast.Subscript) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load):
        yield "slice dropped", node.value


def _conditional(node: ast.If | ast.IfExp | ast.While) -> Iterator[tuple[str, ast.AST]]:
    yield "condition", _changed(node, test=ast.Constant(True))
    yield "condition", _changed(node, test=ast.Constant(False))


def _comprehension(node: ast.GeneratorExp | ast.ListComp | ast.SetComp) -> Iterator[tuple[str, ast.AST]]:
    first, *rest = node.generators
    for i in range(len(first.ifs)):
        ifs = [t for j, t in enumerate(first.ifs) if j != i]
        yield "condition", _changed(node, generators=[_changed(first, ifs=ifs), *rest])


def _augmented(node: ast.AugAssign) -> Iterator[tuple[str, ast.AST]]:
    for other in _ARITHMETIC.get(type(node.op), ()):
        yield "operator", _changed(node, op=other())
    yield "statement dropped", ast.Pass()


def _assign(node: ast.Assign) -> Iterator[tuple[str, ast.AST]]:
    """An assignment that changes what is there already."""
    names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    target = node.targets[0]
    if isinstance(target, ast.Name) and target.id in names:
        yield "statement dropped", ast.Pass()
    if isinstance(target, ast.Subscript):
        yield "statement dropped", ast.Pass()


_MAKERS: dict[type[ast.AST], Callable[[Any], Iterator[tuple[str, Any]]]] = {
    ast.BinOp: _binary, ast.UnaryOp: _unary, ast.Compare: _compare, ast.BoolOp: _boolean, ast.Constant: _constant,
    ast.Call: _call, ast.Subscript: _subscript, ast.If: _conditional, ast.IfExp: _conditional,
    ast.GeneratorExp: _comprehension, ast.ListComp: _comprehension, ast.SetComp: _comprehension,
    ast.AugAssign: _augmented, ast.Assign: _assign,
}  # fmt: skip


def _text(node: ast.AST, context: str) -> str:
    """The source of a node, on one line; of a statement only its first."""
    if isinstance(node, ast.If | ast.While):
        text = f"if {ast.unparse(node.test)}"
    else:
        text = ast.unparse(node)
    text = " ".join(text.split())
    return f"[{text}]" if context == "slice" and not text.startswith("[") else text


__all__ = ["Mutant", "files", "mutants", "mutated", "of_source", "variants"]
