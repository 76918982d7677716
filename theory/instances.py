"""Instances: what a claim is checked on.

A setting is a frozen dataclass whose array fields are declared with `array(trailing axes)`. One value
of it is either a *single* instance (arrays without a leading axis, usually exact rationals) or a
*stack* (float64 with one leading axis more); the same claim function serves both.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, get_type_hints

import numpy as np

from theory import reading
from theory.scalars import exact, floats, is_exact, text

_BY_NAME: dict[str, type[Instance]] = {}


def array(axes: int, **kwargs: Any) -> Any:
    """A dataclass field holding an array with ``axes`` trailing axes."""
    return dataclasses.field(metadata={"axes": axes}, **kwargs)


@dataclass(frozen=True, eq=False)
class Instance:
    """Base of all settings."""

    title: ClassVar[str] = "instance"
    rounding: ClassVar[str] = ""
    stackable: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = _BY_NAME.get(cls.__name__)
        if known is not None and known.__module__.startswith("theory.") and known.__module__ != cls.__module__:
            raise ValueError(f"{known.__module__} has a setting called {cls.__name__} already: choose another name")
        _BY_NAME[cls.__name__] = cls

    @classmethod
    def arrays(cls) -> dict[str, int]:
        """Name -> number of trailing axes, of every array field."""
        return {f.name: f.metadata["axes"] for f in dataclasses.fields(cls) if "axes" in f.metadata}

    @property
    def stacked(self) -> bool:
        """Whether the arrays have a leading axis over instances."""
        return any(
            getattr(self, n) is not None and np.ndim(getattr(self, n)) == k + 1 for n, k in self.arrays().items()
        )

    @property
    def count(self) -> int:
        """How many instances this stack holds; 1 for a single one."""
        for name, axes in self.arrays().items():
            value = getattr(self, name)
            if value is not None and np.ndim(value) == axes + 1:
                return len(value)
        return 1

    def valid(self) -> Any:
        """Whether the numbers are an instance at all (weights of a law nonnegative, ...): bool, or one per instance."""
        return True

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields replaced."""
        return dataclasses.replace(self, **changes)

    def take(self, index: Any) -> Self:
        """Instances ``index`` (an int: a single one; an index array or mask: a stack) of a stack."""
        if not self.stacked:
            raise ValueError("take() needs a stack; this is a single instance")
        picked = {
            n: getattr(self, n)[index]
            if getattr(self, n) is not None and np.ndim(getattr(self, n)) == k + 1
            else getattr(self, n)
            for n, k in self.arrays().items()
        }
        return self.with_(**picked)

    def exact(self) -> Self:
        """The same numbers as rationals."""
        return self.with_(**{n: exact(getattr(self, n)) for n in self.arrays() if getattr(self, n) is not None})

    def at(self, index: int) -> Self:
        """One instance of a stack, as exact rationals."""
        return self.take(index).exact()

    def stack(self, count: int = 1) -> Self:
        """A float64 stack of ``count`` copies of a single instance."""
        return self.with_(
            **{
                n: np.repeat(floats(getattr(self, n))[None], count, axis=0)
                for n in self.arrays()
                if getattr(self, n) is not None
            }
        )

    def size(self) -> tuple[Any, ...]:
        """What shrinking makes smaller, most important first: entries, nonzero entries, sizes of numbers."""
        entries = nonzero = 0
        weight = 0
        for name in self.arrays():
            value = getattr(self, name)
            if value is None:
                continue
            for v in np.ravel(value if is_exact(value) else exact(value)):
                entries += 1
                if v != 0:
                    nonzero += 1
                    weight += _complexity(v)
        return (*self.structure_size(), entries, nonzero, weight)

    def structure_size(self) -> tuple[Any, ...]:
        """Size of what is not an array, most important first."""
        return tuple(
            abs(v)
            for f in dataclasses.fields(self)
            if "axes" not in f.metadata and type(v := getattr(self, f.name)) is int
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with numbers as exact fractions."""
        out: dict[str, Any] = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if value is None:
                out[f.name] = None
            elif "axes" in f.metadata:
                out[f.name] = np.vectorize(text, otypes=[object])(exact(value)).tolist()
            elif hasattr(value, "to_json"):
                out[f.name] = value.to_json()
            else:
                out[f.name] = value
        return out

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The instance that `to_json` wrote, and nothing else (see `theory.reading`).

        Raises:
            ValueError: a field is missing, unknown, of the wrong type or out of bounds; says which.
        """
        known = {f.name: f for f in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for name, value in reading.fields(data, known, cls.__name__).items():
            f = known[name]
            try:
                if value is None and f.default is None:
                    values[name] = None
                elif "axes" in f.metadata:
                    values[name] = reading.numbers(value, f.metadata["axes"])
                else:
                    values[name] = cls.read_field(name, value)
            except ValueError as e:
                raise ValueError(f"{cls.__name__}: field {name!r}: {e}") from None
        return cls(**values)

    @classmethod
    def read_field(cls, name: str, value: Any) -> Any:
        """The value of a field that is no array, from JSON: of the type the field is declared with."""
        return reading.typed(value, _types(cls)[name])  # type: ignore[arg-type]

    def key(self) -> str:
        """A string that is the same for the same instance only."""
        parts = []
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray) and is_exact(value):
                value = (value.shape, [str(v) for v in value.ravel()])
            elif "axes" in f.metadata and value is not None:
                value = shown(value)
            parts.append(str(value))
        return "|".join(parts)

    def summary(self) -> str:
        """A line a person reads."""
        parts = []
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if value is None:
                continue
            if "axes" in f.metadata:
                value = shown(value)
            parts.append(f"{f.name} = {value}")
        return ", ".join(parts)


def setting_named(name: str) -> type[Instance]:
    """The setting class called ``name``.

    Raises:
        KeyError: there is none.
    """
    if name not in _BY_NAME:
        raise KeyError(f"no setting is called {name!r}; known: {', '.join(sorted(_BY_NAME))}")
    return _BY_NAME[name]


def per_instance(a: Any, axes: int) -> Any:
    """``a`` with ``axes`` axes appended, to broadcast a per-instance number against trailing axes."""
    return np.asarray(a)[(..., *([None] * axes))]


def _complexity(v: Any) -> int:
    p, q = abs(int(v.p)), int(v.q)
    return p + 2 * (q - 1) + (1 if v < 0 else 0)


@cache
def _types(setting: type[Instance]) -> dict[str, Any]:
    return get_type_hints(setting)


def shown(value: Any) -> str:
    """An array of numbers as nested lists of exact fractions."""
    a = np.asarray(value)
    render = np.vectorize(text, otypes=[object])(exact(a)) if a.size else a
    return str(render.tolist()).replace("'", "") if a.ndim else str(render[()])


__all__ = ["Instance", "array", "is_exact", "per_instance", "setting_named", "shown"]
