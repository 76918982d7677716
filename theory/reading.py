"""Strict reading of JSON: every value has its declared type and is within bounds, or a ValueError says what is right.

What is read here may come from strangers: nothing is built before its size is known, and nothing is converted silently
(no floats, no ``true`` for 1, no digits of other scripts, one way to write a number).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from types import NoneType
from typing import Any, get_args, get_origin

import numpy as np
from flint import fmpq

from theory.scalars import Array

MAX_DIGITS = 400
"""Most digits of a numerator or denominator: enough for every float64 (the smallest has 324)."""
MAX_INTEGER = 10**12
"""Largest size of a whole number that is no array entry."""

_FRACTION = re.compile(r"-?[0-9]+(/[0-9]+)?")


def parse(text: str) -> Any:
    """JSON without duplicate keys, floating point, NaN and infinities.

    Raises:
        ValueError: it is not such JSON.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float, parse_int=_bounded
        )
    except json.JSONDecodeError as e:
        raise ValueError(f"not JSON, perhaps truncated ({e})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"the key {brief(key)} stands twice")
        out[key] = value
    return out


def _no_float(text: str) -> Any:
    raise ValueError(f"numbers are exact fractions in quotes, like '3/4', or integers; found {brief(text)}")


def _bounded(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"an integer of {len(text)} characters; at most 20 are read")
    return int(text)


def brief(value: Any, most: int = 60) -> str:
    """``repr(value)`` on one line, cut after ``most`` characters; of a list or an object only the size."""
    if isinstance(value, list | dict | tuple):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)} entries"
    text = " ".join(repr(value[: most + 1] if isinstance(value, str) else value).split())
    return text if len(text) <= most else text[:most] + "..."


def fields(value: Any, names: Collection[str], what: str) -> dict[str, Any]:
    """``value`` as an object with exactly the fields ``names``.

    Raises:
        ValueError: no object, or a field is unknown or missing.
    """
    if type(value) is not dict:
        raise ValueError(f"{what}: expected an object with named fields, got {type(value).__name__}")
    if extra := sorted(set(value) - set(names)):
        raise ValueError(f"{what} has no field {brief(extra[0])}; its fields are {', '.join(names)}")
    if absent := [n for n in names if n not in value]:
        raise ValueError(f"{what}: field {absent[0]!r} is missing")
    return value


def number(value: Any) -> fmpq:
    """A rational from its one way to be written: ``"3"``, ``"-3/4"``, in lowest terms.

    Raises:
        ValueError: it is written otherwise, or has more than `MAX_DIGITS` digits.
    """
    if type(value) is not str:
        raise ValueError(f"numbers are exact fractions in quotes, like '3/4'; found {brief(value)}")
    if not _FRACTION.fullmatch(value):
        raise ValueError(f"not a rational number: {brief(value)}; write it as '3/4' or '-2'")
    p, _, q = value.partition("/")
    if max(len(p.lstrip("-")), len(q)) > MAX_DIGITS:
        raise ValueError(f"a number of {len(value)} characters; at most {MAX_DIGITS} digits are read")
    if q and not q.strip("0"):
        raise ValueError(f"not a rational number: {brief(value)} divides by 0")
    made = fmpq(int(p), int(q or 1))
    if str(made) != value:
        raise ValueError(f"a number is written in lowest terms: {brief(str(made))}, not {brief(value)}")
    return made


def numbers(value: Any, axes: int) -> Array:
    """``axes`` nested levels of lists of numbers as an array of rationals.

    Raises:
        ValueError: other levels of nesting, rows of different lengths, no rows, or a bad number.
    """
    shape: list[int] = []
    level = [value]
    for depth in range(axes):
        if any(type(v) is not list for v in level):
            raise ValueError(f"expected {axes} nested levels of numbers, found {depth}")
        if len(lengths := {len(v) for v in level}) != 1:
            raise ValueError(f"rows of different lengths: {', '.join(map(str, sorted(lengths)[:5]))}")
        shape.append(lengths.pop())
        level = [entry for v in level for entry in v]
        if not level and depth < axes - 1:
            raise ValueError(f"expected {axes} nested levels of numbers, found an empty list")
    if any(type(v) is list for v in level):
        raise ValueError(f"expected {axes} nested levels of numbers, found more")
    out = np.empty(len(level), dtype=object)
    for i, v in enumerate(level):
        out[i] = number(v)
    return out.reshape(shape)


def typed(value: Any, kind: Any) -> Any:
    """``value`` as ``kind``: int, bool, str, None, a union of them, or ``tuple[kind, ...]`` (from a list).

    Raises:
        ValueError: it is of another type, or an integer beyond `MAX_INTEGER`.
        TypeError: ``kind`` cannot be read: the setting must override `Instance.read_field`.
    """
    if kind is int:
        if type(value) is not int:
            raise ValueError(f"expected an integer, found {brief(value)}")
        if abs(value) > MAX_INTEGER:
            raise ValueError(f"an integer beyond 10^12: {value}")
        return value
    if kind in (bool, str, NoneType):
        if type(value) is not kind:
            names = {bool: "true or false", str: "a text in quotes", NoneType: "null"}
            raise ValueError(f"expected {names[kind]}, found {brief(value)}")
        return value
    items = get_args(kind)
    if get_origin(kind) is tuple:
        if type(value) not in (list, tuple):  # the code of a certificate writes tuples
            raise ValueError(f"expected a list, found {brief(value)}")
        if items[-1] is not Ellipsis:
            if len(value) != len(items):
                raise ValueError(f"expected {len(items)} entries, found {len(value)}")
            return tuple(typed(v, k) for v, k in zip(value, items, strict=True))
        return tuple(typed(v, items[0]) for v in value)
    if items and NoneType in items:
        return None if value is None else typed(value, next(k for k in items if k is not NoneType))
    raise TypeError(f"a field of type {kind} is not read from JSON")


__all__ = ["MAX_DIGITS", "MAX_INTEGER", "brief", "fields", "number", "numbers", "parse", "typed"]
