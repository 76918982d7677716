"""The API's page: every public name of `verify` and `theory`, with its docstring and an example that a test runs.

The examples stand in docs/examples/api.md, under a heading that is the name.
"""

from __future__ import annotations

import re
from types import ModuleType

import theory
import verify
from verify.studies.claims_page import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "api.md"
_HEADING = re.compile(r"^## `(\S+)`$", re.M)


def examples() -> dict[str, str]:
    """Public name, such as "verify.prune" -> its example in Markdown."""
    _, *parts = _HEADING.split(EXAMPLES.read_text())
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def public() -> list[str]:
    """The public names, as one writes them."""
    return [f"verify.{n}" for n in verify.__all__] + [f"theory.{n}" for n in theory.__all__]


def where(name: str) -> str:
    """The name with the module that defines it."""
    package, _, last = name.rpartition(".")
    value = getattr(verify if package == "verify" else theory, last)
    return value.__name__ if isinstance(value, ModuleType) else f"{value.__module__}.{last}"


def page() -> str:
    """The page.

    Raises:
        ValueError: a name without an example, or an example without a name.
    """
    shown, names = examples(), public()
    if sorted(shown) != sorted(names):
        raise ValueError(f"{EXAMPLES.name}: examples and public names differ: {sorted(set(shown) ^ set(names))}")
    lines = ["# API", "", "What `from verify import ...` and `from theory import ...` give. A test runs every example."]
    for package, about in (("verify", "On any torch module, and on the claims."), ("theory", "The claims themselves.")):
        lines += ["", f"## `{package}`", "", about, ""]
        for name in names:
            if name.startswith(package + "."):
                lines += [
                    f"::: {where(name)}",
                    "",
                    f"**Example** with `from {package} import {name.split('.')[1]}`:",
                    "",
                ]
                lines += [shown[name], ""]
    return "\n".join(lines) + "\n"
