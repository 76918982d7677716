"""TeX between dollar signs as plain text, for terminals."""

from __future__ import annotations

import re

_SYMBOLS = {
    "theta": "θ", "Theta": "Θ", "partial": "∂", "sum": "Σ", "prod": "Π", "ni": "∋", "in": "∈", "dots": "...",
    "ldots": "...", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "cdot": "·", "times": "×", "to": "→",
    "varepsilon": "ε", "epsilon": "ε", "lambda": "λ", "sigma": "σ", "mu": "μ", "nabla": "∇", "ne": "≠", "neq": "≠",
    "infty": "∞", "approx": "≈", "odot": "⊙",
}  # fmt: skip
_RELATIONS = "≤≥∋∈→≠≈"


def plain(text: str) -> str:
    """``text`` with its formulas in letters: a theta as θ."""
    return re.sub(r"\$(.+?)\$", lambda m: _formula(m[1]), text, flags=re.S)


def _formula(tex: str) -> str:
    tex = re.sub(r"\\(?:operatorname|mathrm|mathbb|text|mathcal)\{([^{}]*)\}", r"\1", tex)
    tex = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", tex)
    tex = re.sub(r"\\sqrt\{([^{}]*)\}", r"√(\1)", tex)
    tex = tex.replace(r"\|", "‖")
    tex = re.sub(r"\\[,;:! ]", " ", tex)
    tex = re.sub(r"\\([A-Za-z]+) ?", lambda m: _SYMBOLS.get(m[1], m[1] + " "), tex)
    tex = re.sub(rf"([{_RELATIONS}])", r" \1 ", tex)
    tex = tex.replace("^2", "²").replace("^3", "³").replace("^{-1}", "⁻¹")
    tex = re.sub(r"\{(\w)\}", r"\1", tex)
    tex = re.sub(r"([_^])\{([^{}]*)\}", r"\1(\2)", tex)
    tex = re.sub(r"(Σ(?:_\([^()]*\)|_\w))(?=[\w∂(Σ])", r"\1 ", tex)
    return " ".join(tex.replace("{", "").replace("}", "").split())


__all__ = ["plain"]
