"""What a claim says, as one digest: the source of its function and of every definition of ``theory`` that it uses.

Read from the files, nothing is run: names of a definition are followed to the definitions that bind them, in the
same module or through ``from theory... import``. Docstrings, comments and blanks do not count, nor do a claim's
status, source, hints and remarks; its setting and its assumptions do. What a call at the top of a module enters into
a table (as scorers are) counts with the table.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from functools import lru_cache
from pathlib import Path

from theory.claims import Claim

Place = tuple[str, str]
"""Module and name of a definition at its top."""
SAYING = ("about", "assumes")
"""Arguments of `theory.claim` that are part of what a claim says."""
MACHINERY = ("theory.claims", "theory.names")
"""How claims are registered and names suggested is no part of what they say."""


def digest_of(claim: Claim) -> str:
    """The first 16 hexadecimal digits of SHA-256 over the definitions that the claim uses.

    Raises:
        ValueError: its source cannot be read.
    """
    return digest("\n".join(texts_of(claim)))


def texts_of(claim: Claim) -> list[str]:
    """Each definition that the claim uses, as "module.name:its text without blanks", sorted."""
    places = sorted(used((claim.function.__module__, claim.function.__name__)))
    return [f"{module}.{name}:{_module(module).texts[name]}" for module, name in places]


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def used(start: Place) -> set[Place]:
    """Every definition that one at ``start`` uses, itself included.

    Raises:
        ValueError: there is none.
    """
    if start[1] not in _module(start[0]).texts:
        raise ValueError(f"{start[0]} defines no {start[1]} at its top")
    seen: set[Place] = set()
    todo = [start]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        module = _module(place[0])
        for name in module.names[place[1]]:
            target = module.target(name)
            if target is not None:
                todo.append(target)
    return seen


class _Module:
    """The definitions at the top of a module: their text, the names they use, and where imported names come from."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.texts: dict[str, str] = {}
        self.names: dict[str, set[str]] = {}
        self.imported: dict[str, Place] = {}
        self.tables: set[str] = set()
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                self.imported.update({a.asname or a.name: (node.module, a.name) for a in node.names})
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self._define(node.name, node)
            elif isinstance(node, ast.Assign):
                for t in node.targets:
                    for part in ast.walk(t):
                        if isinstance(part, ast.Name):
                            self._define(part.id, node)
            elif isinstance(node, ast.AnnAssign | ast.AugAssign) and isinstance(node.target, ast.Name):
                self._define(node.target.id, node)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                by = node.value.func
                for table in self.names.get(by.id, set()) & self.tables if isinstance(by, ast.Name) else ():
                    self._define(table, node)

    def _define(self, name: str, node: ast.AST) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef | ast.ClassDef):
                first = part.body[0]
                if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                    part.body = part.body[1:] or [ast.Pass()]
            if isinstance(part, ast.FunctionDef):
                part.decorator_list = [d for d in map(_without_remarks, part.decorator_list) if d is not None]
        if isinstance(node, ast.Assign | ast.AnnAssign):
            self.tables.add(name)
        # Quotes differ between versions of Python; a name that is bound twice counts with both.
        self.texts[name] = self.texts.get(name, "") + re.sub(r"[\s'\"]+", "", ast.unparse(node))
        found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        found |= {
            f"{n.value.id}.{n.attr}"
            for n in ast.walk(node)
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
        }
        self.names[name] = (self.names.get(name, set()) | found) - {name}

    def target(self, name: str) -> Place | None:
        """The definition that a name of this module stands for, if it is one of ``theory`` or of this module."""
        if name in self.texts:
            return self.name, name
        base, _, attribute = name.partition(".")
        module, original = self.imported.get(base, ("", ""))
        if attribute:  # of a module that was imported as a whole
            module, original = f"{module}.{original}", attribute
            if base not in self.imported or not _is_module(module):
                return None
        if module in MACHINERY or module.split(".")[0] not in ("theory", self.name.split(".")[0]):
            return None
        return _module(module).target(original)


def _without_remarks(decorator: ast.expr) -> ast.expr | None:
    """``@claim(Setting, assumes=...)`` without what is no part of the statement; other decorators as they are."""
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Name):
        return decorator
    if decorator.func.id == "hints":
        return None
    if decorator.func.id == "claim":
        decorator.args = decorator.args[:1]
        decorator.keywords = [k for k in decorator.keywords if k.arg in SAYING]
    return decorator


@lru_cache(maxsize=1024)
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@lru_cache(maxsize=256)
def _module(name: str) -> _Module:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise ValueError(f"the source of {name} cannot be read")
    return _Module(name, Path(spec.origin).read_text())
