"""Which kind each torch call is, and the settings that matter: the one table of what is understood.

A reader of arguments takes them under torch's own names and returns (kind, settings), or None when a
setting makes the call one that is not understood. Values are the templates of
`verify.networks.recording.record` (`Ref`, `Named`, `Batch`), recognised by their attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

Found = tuple[str, dict[str, Any]] | None
_READERS: dict[str, Callable[..., Found]] = {}


def _reads(*names: str) -> Callable[[Callable[..., Found]], Callable[..., Found]]:
    def register(f: Callable[..., Found]) -> Callable[..., Found]:
        for n in names:
            _READERS[n] = f
        return f

    return register


def _is_ref(a: Any) -> bool:
    return hasattr(a, "index") and hasattr(a, "part")


def _is_named(a: Any) -> bool:
    return type(a).__name__ == "Named"


def _pair(v: Any, d: int) -> tuple[int, ...]:
    v = tuple(v) if isinstance(v, tuple | list) else (v,)
    return tuple(int(i) for i in (v * d if len(v) == 1 else v))


def classify(
    op: Any,
    shapes: Mapping[int, tuple[int, ...]],
    sizes: Mapping[str, tuple[int, ...]],
    views: frozenset[str] = frozenset(),
) -> tuple[str, dict[str, Any]]:
    """Kind and settings of a recorded call; ("unknown", {}) where it is not understood.

    Args:
        op: the operation, with templates as arguments.
        shapes: shape on two samples of every operation's first result.
        sizes: shapes of the module's tensors by name.
        views: names of parameters in other shapes.
    """
    name = op.name.strip("_") if op.name.startswith("__") else op.name.rstrip("_").lstrip("_")
    reader = _READERS.get(name)
    if reader is None or not op.by_sample:
        return "unknown", {}
    dims = [len(shapes[r.index]) for r in op.inputs]
    try:
        found = reader(*op.args, **op.kwargs)
    except TypeError:
        return "unknown", {}
    if found is None:
        return "unknown", {}
    kind, settings = found
    if kind in ("matrix", "product", "shift"):
        return _with_weight(op, kind, settings, shapes, sizes)
    if kind in ("linear", "convolution", "normalisation"):
        weights = [settings[k] for k in ("weight", "bias") if settings[k] is not None]
        if len(op.inputs) != 1 or not all(_is_named(w) for w in weights):
            return "unknown", {}
        settings |= {k: settings[k].name if settings[k] is not None else None for k in ("weight", "bias")}
        seen = bool(views.intersection((settings["weight"], settings["bias"])))
        if seen and kind == "normalisation":
            return "unknown", {}
        if kind == "convolution":
            d = int(name[-2])
            if dims[0] != d + 2:
                return "unknown", {}
            settings |= {k: _pair(settings[k], d) for k in ("stride", "dilation")}
            settings["kernel"] = tuple(sizes[settings["weight"]][2:])
            padding = settings["padding"]
            if isinstance(padding, str):
                added = [n * (k - 1) for n, k in zip(settings["dilation"], settings["kernel"], strict=True)]
                if padding == "same" and any(n % 2 for n in added):
                    # An even window pads one side more than the other.
                    return "unknown", {}
                padding = tuple(n // 2 for n in added) if padding == "same" else 0
            settings["padding"] = _pair(padding, d)
        if seen:
            return "matrix", {**settings, "transposed": False}
    elif op.parameters or not op.inputs:
        return "unknown", {}
    if kind in ("maximum", "average") and dims[0] != settings.get("dims", dims[0]):
        return "unknown", {}
    if kind == "average":
        shape = shapes[op.inputs[0].index]
        settings["divisor"], count = settings.pop("divide")(shape), settings.pop("count", None)
        if settings["divisor"] is not None:
            settings["count"] = int(settings["divisor"].max()) if count is None else count(shape)
        if settings["divisor"] is None:
            return "unknown", {}
    if kind in ("gate", "maximum", "average", "scale") and len(op.inputs) != 1:
        return "unknown", {}
    if kind == "add" and (len(op.inputs) != len(settings["terms"]) or _broadcasts(op, shapes)):
        return "unknown", {}
    return kind, settings


def _broadcasts(op: Any, shapes: Mapping[int, tuple[int, ...]]) -> bool:
    return any(shapes[r.index] != op.shape for r in op.inputs if r.part is None)


@_reads("linear")
def _linear(input: Any, weight: Any, bias: Any = None) -> Found:
    return "linear", {"weight": weight, "bias": bias}


@_reads("conv1d", "conv2d", "conv3d")
def _convolution(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Found:
    return "convolution", {
        "weight": weight, "bias": bias, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
    }  # fmt: skip


@_reads("batch_norm")
def _batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Found:  # fmt: skip
    if training or not (_is_named(running_mean) and _is_named(running_var)):
        return None
    return "normalisation", {
        "weight": weight, "bias": bias, "mean": running_mean.name, "variance": running_var.name, "eps": float(eps),
    }  # fmt: skip


@_reads("relu")
def _relu(input: Any, inplace: bool = False) -> Found:
    return "gate", {"slope": 0.0}


@_reads("leaky_relu")
def _leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Found:
    return ("gate", {"slope": float(negative_slope)}) if 0 <= negative_slope <= 1 else None


@_reads("clamp", "clamp_min")
def _clamp(input: Any, min: Any = None, max: Any = None) -> Found:
    plain = isinstance(min, int | float) and min == 0 and max is None
    return ("gate", {"slope": 0.0}) if plain else None


def _max_pool(d: int) -> Callable[..., Found]:
    def read(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Found:  # fmt: skip
        if return_indices:
            return None
        window = _pair(kernel_size, d)
        return "maximum", {
            "dims": d + 2, "window": window, "stride": _pair(stride, d) if stride else window,
            "padding": _pair(padding, d), "dilation": _pair(dilation, d), "ceil": bool(ceil_mode),
        }  # fmt: skip

    return read


def _avg_pool(d: int) -> Callable[..., Found]:
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[d]

    def read(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: Any = None,
    ) -> Found:  # fmt: skip
        def divide(shape: tuple[int, ...]) -> Any:
            # Counting ones with a window of known size gives the divisor at every position.
            ones, size = torch.ones(1, 1, *shape[2:], dtype=torch.float64), math.prod(_pair(kernel_size, d))
            settings = (kernel_size, stride, padding, ceil_mode)
            if divisor_override:
                return torch.full_like(pool(ones, *settings), float(divisor_override))
            counted = (pool(ones, *settings, True) * size).round()
            if not count_include_pad:
                return counted
            return None if ceil_mode else torch.full_like(counted, float(size))

        return "average", {"dims": d + 2, "divide": divide, "count": lambda _: math.prod(_pair(kernel_size, d))}

    return read


def _adaptive(d: int) -> Callable[..., Found]:
    def read(input: Any, output_size: Any) -> Found:
        def divide(shape: tuple[int, ...]) -> Any:
            sizes = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size,) * d
            out = torch.ones(1, 1, dtype=torch.float64)
            for n, m in zip(shape[2:], sizes, strict=True):
                m = n if m is None else m
                spans = [-(-(i + 1) * n // m) - i * n // m for i in range(m)]
                out = out[..., None] * torch.tensor(spans, dtype=torch.float64)
            return out

        return "average", {"dims": d + 2, "divide": divide}

    return read


for _d in (1, 2, 3):
    _reads(f"max_pool{_d}d")(_max_pool(_d))
    _reads(f"avg_pool{_d}d")(_avg_pool(_d))
    _reads(f"adaptive_avg_pool{_d}d")(_adaptive(_d))


@_reads("mean")
def _mean(input: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Found:
    if dim is None or dtype is not None:
        return None
    dims = (dim,) if isinstance(dim, int) else tuple(dim)

    def divide(shape: tuple[int, ...]) -> Any:
        chosen = {i % len(shape) for i in dims}
        return None if 0 in chosen else torch.tensor(float(math.prod(shape[i] for i in chosen)), dtype=torch.float64)

    return "average", {"divide": divide}


@_reads("sum")
def _sum(input: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Found:
    if dim is None or dtype is not None:
        return None
    dims = (dim,) if isinstance(dim, int) else tuple(dim)

    def divide(shape: tuple[int, ...]) -> Any:
        return None if 0 in {i % len(shape) for i in dims} else torch.ones((), dtype=torch.float64)

    # An average whose divisor is 1.
    return "average", {"divide": divide, "count": lambda shape: math.prod(shape[i] for i in dims)}


@_reads("flatten", "view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "getitem", "chunk",
        "split", "unbind", "movedim", "swapaxes", "swapdims", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
        "unflatten", "clone", "narrow", "select", "roll", "flip", "view_as", "reshape_as")  # fmt: skip
def _shape(*args: Any, **kwargs: Any) -> Found:
    return "shape", {}


@_reads("cat", "concat", "concatenate", "stack")
def _cat(tensors: Any, dim: int = 0, axis: Any = None) -> Found:
    return ("shape", {}) if all(_is_ref(t) for t in tensors) and dim != 0 and axis in (None, dim) else None


@_reads("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout")
def _dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Found:
    return None if training and p > 0 else ("shape", {})


@_reads("pad")
def _pad(input: Any, pad: Any, mode: str = "constant", value: Any = None) -> Found:
    # Padding with zeros adds units that no path starts from; other modes copy entries.
    if mode == "constant" and (value or 0) != 0:
        return None
    return "shape", {}


@_reads("add", "iadd", "radd")
def _add(input: Any, other: Any, *, alpha: Any = 1) -> Found:
    if alpha != 1:
        return None
    if _is_ref(input) and _is_ref(other):
        return "add", {"terms": (input, other)} if input != other else {"terms": (input,), "factor": 2.0}
    return _one_weight("shift", "bias", input, other)


@_reads("mul", "imul", "rmul", "multiply")
def _mul(input: Any, other: Any) -> Found:
    number = other if _is_ref(input) else input
    if isinstance(number, int | float) and not isinstance(number, bool):
        return "scale", {"factor": float(number)}
    return _one_weight("product", "weight", input, other)


def _one_weight(kind: str, key: str, input: Any, other: Any, **settings: Any) -> Found:
    """An operation between the data and one parameter or constant, entry by entry."""
    for data, weight in ((input, other), (other, input)):
        if _is_ref(data) and _is_named(weight):
            return kind, {"weight": None, "bias": None, key: weight, **settings}
    return None


@_reads("matmul", "mm")
def _matmul(input: Any, other: Any) -> Found:
    if not (_is_ref(input) and _is_named(other)):
        return None
    return "matrix", {"weight": other, "bias": None, "transposed": True}


@_reads("addmm")
def _addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Found:
    if not (_is_named(input) and _is_ref(mat1) and _is_named(mat2) and alpha == beta == 1):
        return None
    return "matrix", {"weight": mat2, "bias": input, "transposed": True}


def _with_weight(
    op: Any,
    kind: str,
    settings: dict[str, Any],
    shapes: Mapping[int, tuple[int, ...]],
    sizes: Mapping[str, tuple[int, ...]],
) -> tuple[str, dict[str, Any]]:
    """What `classify` returns for operations by a weight in any shape, if the samples stay what they are."""
    settings |= {k: settings[k].name if settings[k] is not None else None for k in ("weight", "bias")}
    data, (weight, bias) = shapes[op.inputs[0].index], (settings["weight"], settings["bias"])
    if len(op.inputs) != 1 or op.inputs[0].part is not None or not op.floating:
        return "unknown", {}
    if kind == "matrix":
        fits = len(sizes[weight]) == 2 and len(data) >= 2 and (bias is None or len(sizes[bias]) == 1)
    else:
        size = sizes[weight or bias]
        # Entries of the samples; an axis of ones in place of the samples'.
        fits = op.shape == data and (len(size) < len(data) or (len(size) == len(data) and size[0] == 1))
    return (kind, settings) if fits else ("unknown", {})


@_reads("div", "truediv", "idiv", "itruediv", "true_divide", "divide")
def _div(input: Any, other: Any, *, rounding_mode: Any = None) -> Found:
    if _is_ref(input) and isinstance(other, int | float) and rounding_mode is None and other != 0:
        return "scale", {"factor": 1.0 / other}
    return None


@_reads("neg", "negative")
def _neg(input: Any) -> Found:
    return "scale", {"factor": -1.0}


@_reads("sub", "isub")
def _sub(input: Any, other: Any, *, alpha: Any = 1) -> Found:
    # A difference is a sum with an edge of weight -1; squared weights and weights 1 do not see the sign.
    if _is_ref(input) and _is_ref(other) and alpha == 1 and input != other:
        return "add", {"terms": (input, other), "signs": (1.0, -1.0)}
    if alpha == 1 and _is_ref(input) and _is_named(other):
        return _one_weight("shift", "bias", input, other, signs=(1.0, -1.0))
    if alpha == 1 and _is_named(input) and _is_ref(other):
        return _one_weight("shift", "bias", input, other, signs=(-1.0, 1.0))
    return None
