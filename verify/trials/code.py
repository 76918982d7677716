"""Which code makes a trial: a hash over the source of everything that its experiment imports.

The rule: start at the experiment's module; follow every import in it, those inside functions included, through the
packages of `origin.SOURCES`; hash what these modules say. Left out is what runs trials and takes no part in their
results (`MACHINERY`). Comments, docstrings and layout are left out as well, so that rewording orphans no trial; all
else counts, used or not. What is imported by a name that is computed, an experiment lists itself (``also``);
`tests/verify/test_code.py` runs experiments and compares with what they loaded.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path

from verify.trials.origin import ROOT, SOURCES

_RUNNING = (
    "checkpoints", "code", "command", "files", "leases", "origin", "store", "sweep", "tables", "workers"
)  # fmt: skip
MACHINERY = ("verify.trials", *(f"verify.trials.{n}" for n in _RUNNING))


@functools.cache
def fingerprint(module: str, also: tuple[str, ...] = ()) -> str:
    """Twelve hexadecimal digits that change with the code behind ``module``.

    Args:
        module: dotted name of the experiment's module.
        also: modules or packages (all of their modules) that are imported by computed names.

    Raises:
        ValueError: a module that is none of this tree's and has no source.
    """
    digest = hashlib.sha256()
    for name in closure(module, also):
        digest.update(f"{name}\0{_says(_file(name))}\0".encode())
    return digest.hexdigest()[:12]


@functools.cache
def closure(module: str, also: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The modules that `fingerprint` hashes, by name.

    Raises:
        ValueError: there is no source of ``module``, or of one of ``also``.
    """
    todo = [module]
    for name in also:
        folder = ROOT.joinpath(*name.split("."))
        todo += [name] if _find(name) else []
        inside = (p.relative_to(folder).with_suffix("").parts for p in sorted(folder.rglob("*.py")))
        todo += [".".join((name, *parts)) for parts in inside if parts[-1] != "__init__"]
    for name in todo:
        _file(name)
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in found and name not in MACHINERY:
            found.add(name)
            todo += _imports(name)
    return tuple(sorted(found))


@functools.cache
def _find(name: str) -> Path | None:
    """The source of a module of this tree, or of a user's own; None where there is none."""
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.exists():
            return path
    if name.split(".")[0] in SOURCES:
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and Path(spec.origin).exists() else None


def _file(name: str) -> Path:
    path = _find(name)
    if path is None:
        raise ValueError(f"no source of {name} was found: the code of its trials cannot be told")
    return path


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


@functools.cache
def _imports(name: str) -> tuple[str, ...]:
    """The modules of this tree that a module imports anywhere in its text."""
    found: list[str] = []
    for node in ast.walk(_tree(_file(name))):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if _file(name).name == "__init__.py" else name.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            # A name taken from a package is a module of its own, or stands in the package's file.
            inner = [f"{base}.{a.name}" for a in node.names]
            ours = base.split(".")[0] in SOURCES
            found += [i if ours and _find(i) else base for i in inner]
    return tuple(dict.fromkeys(m for m in found if m.split(".")[0] in SOURCES and _find(m)))


@functools.cache
def _says(path: Path) -> str:
    return _text(_tree(path))


def _text(node: object) -> str:
    """The syntax tree as text without docstrings, the same on every version of Python."""
    if isinstance(node, ast.AST):
        parts = []
        for name in node._fields:
            value = getattr(node, name, None)
            if name == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                value = value[1:] if ast.get_docstring(node, clean=False) is not None else value  # type: ignore[index]
            if value is None or value == [] or name in ("kind", "type_comment", "ctx"):
                continue
            parts.append(f"{name}={_text(value)}")
        return f"{type(node).__name__}({','.join(parts)})"
    if isinstance(node, list):
        return f"[{','.join(map(_text, node))}]"
    return repr(node)


__all__ = ["MACHINERY", "closure", "fingerprint"]
