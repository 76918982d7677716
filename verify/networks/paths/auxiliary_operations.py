"""How each torch operation acts in the auxiliary evaluations of `verify.networks.paths.auxiliary`.

A handler takes the evaluation, the function that was called and its arguments under torch's own names;
`HANDLERS` is the table. What is not in it raises `UnknownOperation`.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from verify.networks.paths.auxiliary import Evaluation

RECORD, ACTIVATION, FLOW = "record", "activation", "flow"


class UnknownOperation(ValueError):
    """An operation through which paths cannot be followed.

    Attributes:
        where: path of the submodule that called it, "" for the module itself.
        what: name of the operation.
    """

    def __init__(self, where: str, what: str, why: str = "") -> None:
        self.where, self.what = where, what
        super().__init__(
            f"{where or 'the module'}: {what}{' ' + why if why else ''}: paths cannot be followed through it"
        )


_NUMBERS = (int, float, bool, str)
"""Types of most arguments: they hold no tensors, and every call is looked through."""

# -- small helpers ------------------------------------------------------------------------------------


def tag(t: Tensor, exponent: int) -> Tensor:
    """Mark ``t`` as a value of the evaluation, with its exponent."""
    t._exponent = exponent  # type: ignore[attr-defined]
    return t


def is_stream(t: Any) -> bool:
    """Whether ``t`` is a value of the evaluation, not a parameter or a constant."""
    return hasattr(t, "_exponent")


def resolve(a: Any) -> Any:
    """What has become of ``a`` through in-place operations."""
    if a is None or type(a) in _NUMBERS:
        return a
    if isinstance(a, Tensor):
        while hasattr(a, "_becomes"):
            a = a._becomes
        return a
    if isinstance(a, tuple | list) and any(isinstance(b, Tensor) for b in a):
        return type(a)(resolve(b) for b in a)
    return a


def flat(a: Any) -> list[Tensor]:
    """The tensors in nested tuples and lists."""
    if isinstance(a, Tensor):
        return [a]
    out: list[Tensor] = []
    if isinstance(a, tuple | list):
        for b in a:
            if b is not None and type(b) not in _NUMBERS:
                out += flat(b)
    return out


def like(out: Any, x: Tensor) -> Any:
    """Mark every tensor of ``out`` with the exponent of ``x``."""
    if isinstance(out, Tensor):
        return tag(out, x._exponent)  # type: ignore[attr-defined]
    if isinstance(out, tuple | list):
        for o in out:
            like(o, x)
    return out


QUERIES = {
    "dim",
    "size",
    "numel",
    "is_floating_point",
    "ndimension",
    "__len__",
    "stride",
    "is_contiguous",
    "get_device",
}
SHAPE_OF_PARAMETERS = {
    "t", "transpose", "permute", "view", "reshape", "expand", "expand_as", "unsqueeze", "squeeze", "flatten", "__get__",
    "contiguous", "size", "dim",
}  # fmt: skip

# -- handlers -------------------------------------------------------------------------------------------

HANDLERS: dict[str, Callable[..., Any]] = {}


def _handles(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        HANDLERS.update(dict.fromkeys(names, f))
        return f

    return register


@_handles("linear")
def _linear(e: Evaluation, func: Any, input: Any, weight: Any, bias: Any = None) -> Tensor:
    if not e.is_parameter(weight):
        raise e.unknown("linear", "by a weight that is not a parameter")
    if e.ones:
        out = input.sum(-1, keepdim=True).expand(*input.shape[:-1], len(weight))
    else:
        out = func(input, weight)
    return e.plus_bias(out, input._exponent, bias)


@_handles("matmul")
def _matmul(e: Evaluation, func: Any, input: Any, other: Any) -> Tensor:
    if not is_stream(input) or not e.is_parameter(other):
        raise e.unknown("matmul", "of anything but a value and a parameter")
    return e.rescaled(func(input, other), input._exponent)


@_handles("conv1d", "conv2d", "conv3d")
def _convolution(
    e: Evaluation, func: Any, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    if not e.is_parameter(weight):
        raise e.unknown("convolution", "by a weight that is not a parameter")
    if e.ones:
        n, c, *size = input.shape
        summed = input.reshape(n, groups, c // groups, *size).sum(2)
        one = func(summed, weight[:groups, :1], None, stride, padding, dilation, groups)
        if groups == 1:
            out = one.expand(n, len(weight), *one.shape[2:])
        else:
            out = one.unsqueeze(2).expand(n, groups, len(weight) // groups, *one.shape[2:]).flatten(1, 2)
    else:
        out = func(input, weight, None, stride, padding, dilation, groups)
    return e.plus_bias(out, input._exponent, None if bias is None else bias.view(-1, *[1] * (out.ndim - 2)))


@_handles("batch_norm")
def _batch_norm(
    e: Evaluation, func: Any, input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    if training or running_mean is None:
        raise e.unknown("batch_norm", "with the statistics of the batch")
    if e.kind == RECORD:
        return tag(func(input, running_mean, running_var, weight, bias, False, momentum, eps), 0)
    shape = (-1, *[1] * (input.ndim - 2))
    q = e.factor_power
    factor = (running_var.to(input) + eps) ** (-q / 2)
    weight = torch.ones_like(factor) if weight is None else weight
    moved = bool(running_mean.any())
    drift = running_mean.to(input).abs() ** q if q else (running_mean != 0).to(input)
    shift = weight * factor * drift if moved else None
    shift = shift if bias is None else bias if shift is None else shift + bias
    # With its weights 1 and constant factors to the power 0 there is nothing to multiply by.
    plain = q == 0 and not weight.requires_grad and bool((weight == 1).all())
    out = input if plain else input * (weight * factor).view(shape)
    return e.plus_bias(out, input._exponent, None if shift is None else shift.view(shape))


@_handles("relu", "leaky_relu", "clamp", "clamp_min")
def _gate(e: Evaluation, func: Any, input: Any, *args: Any, **kwargs: Any) -> Tensor:
    slope, name = 0.0, func.__name__.rstrip("_")
    if name == "leaky_relu":
        slope = float(args[0] if args else kwargs.get("negative_slope", 0.01))
        if slope < 0:
            raise e.unknown("leaky_relu", "of negative slope")
    elif name.startswith("clamp"):
        limits = {**dict(zip(("min", "max"), args, strict=False)), **kwargs}
        if limits.get("max") is not None or limits.get("min") != 0:
            raise e.unknown(name, "other than at 0 from below")
    if e.kind == FLOW:
        return tag(input.view_as(input), input._exponent)
    if e.kind == RECORD and not slope:
        out = input.clamp_min(0)
        e.gates.append(out.sign())
        return tag(out, 0)
    if e.kind == RECORD:
        gate = (input > 0).to(input.dtype)
        gate = gate + slope * (1 - gate)
        e.gates.append(gate)
        return tag(input * gate, 0)
    gate = e.gates[e.used]
    e.used += 1
    # Gates of ReLU are their own squares.
    return tag(input * (gate * gate if slope else gate), input._exponent)


@_handles("max_pool2d")
def _max_pool(
    e: Evaluation, func: Any, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor:  # fmt: skip
    if return_indices:
        raise e.unknown("max_pool2d", "with indices")
    stride = stride or kernel_size
    if e.kind == RECORD:
        out, chosen = F.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)
        e.gates.append(chosen)
        return tag(out, 0)
    if e.kind == FLOW:
        if dilation not in (1, (1, 1)):
            raise e.unknown("max_pool2d", "with dilation")
        out = F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, divisor_override=1)
        return e.rescaled(out, input._exponent)
    chosen = e.gates[e.used]
    e.used += 1
    out = input.flatten(2).gather(2, chosen.flatten(2)).view(chosen.shape)
    return tag(out, input._exponent)


@_handles("max_pool1d")
def _max_pool_1d(
    e: Evaluation,
    func: Any,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    def wide(v: Any, other: int) -> tuple[int, int]:
        return (other, int(v[0] if isinstance(v, tuple | list) else v))

    flat = tag(input.unsqueeze(-2), input._exponent)
    size, step = wide(kernel_size, 1), wide(stride or kernel_size, 1)
    out = _max_pool(e, func, flat, size, step, wide(padding, 0), wide(dilation, 1), ceil_mode, return_indices)
    return tag(out.squeeze(-2), out._exponent)


@_handles("avg_pool2d", "adaptive_avg_pool2d")
def _average(e: Evaluation, func: Any, input: Any, *args: Any, **kwargs: Any) -> Tensor:
    return e.averaged(func, input, *args, **kwargs)


@_handles("mean")
def _mean(e: Evaluation, func: Any, input: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    dims = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims or 0 in {d % input.ndim for d in dims} or kwargs.get("dtype") is not None:
        raise e.unknown("mean", "over the samples")
    count = math.prod(input.shape[d] for d in dims)
    return tag(input.sum(dims, keepdim) * float(count) ** -e.factor_power, input._exponent)


@_handles("sum")
def _sum(e: Evaluation, func: Any, input: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    dims = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims or 0 in {d % input.ndim for d in dims} or kwargs.get("dtype") is not None:
        raise e.unknown("sum", "over the samples")
    return tag(func(input, dims, keepdim), input._exponent)


@_handles(
    "flatten", "view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "getitem", "chunk",
    "split", "unbind", "clone", "view_as", "narrow", "unflatten",
)  # fmt: skip
def _shape(e: Evaluation, func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    out = like(func(input, *args, **kwargs), input)
    if func.__name__ != "clone":
        # Taken for views even where they copy: whoever writes to one must not be believed to leave the other alone.
        root = getattr(input, "_root", input)
        for t in flat(out):
            if t is not root:
                t._root = root  # type: ignore[attr-defined]
                root._views = [*getattr(root, "_views", ()), weakref.ref(t)]
    return out


@_handles("pad")
def _pad(e: Evaluation, func: Any, input: Any, pad: Any, mode: str = "constant", value: Any = None) -> Tensor:
    if mode == "constant" and value:
        raise e.unknown("pad", "with a constant other than 0")
    return tag(func(input, pad, mode, value), input._exponent)


@_handles("cat", "concat", "concatenate", "stack")
def _cat(e: Evaluation, func: Any, tensors: Any, dim: int = 0) -> Tensor:
    if dim == 0 or not all(is_stream(t) for t in tensors):
        raise e.unknown(func.__name__, "along the samples, or with constants")
    tensors, exponent = e.joined(list(tensors))
    return tag(func(tensors, dim), exponent)


@_handles("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout")
def _dropout(e: Evaluation, func: Any, input: Any, p: float = 0.5, training: bool = True, **_: Any) -> Tensor:
    if training and p > 0:
        raise e.unknown("dropout", "in training mode")
    return tag(input.view_as(input), input._exponent)


@_handles("add", "iadd", "radd", "sub", "isub")
def _add(e: Evaluation, func: Any, input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    if alpha != 1 or not isinstance(other, Tensor) or not isinstance(input, Tensor):
        raise e.unknown(func.__name__, "of a number")
    for a, b in ((input, other), (other, input)):
        if is_stream(a) and e.is_parameter(b) and (e.kind != RECORD or "sub" not in func.__name__):
            return e.plus_bias(a, getattr(a, "_exponent", 0), b)
    if not (is_stream(input) and is_stream(other)):
        raise e.unknown(func.__name__, "of a constant")
    # A difference is a sum with an edge of weight -1, whose powers of absolute value are 1.
    minus = "sub" in func.__name__ and e.kind == RECORD
    (input, other), exponent = e.joined([input, other])
    return tag(input - other if minus else input + other, exponent)


@_handles("mul", "imul", "rmul", "multiply", "div", "truediv", "itruediv", "true_divide", "neg")
def _scale(e: Evaluation, func: Any, input: Any, other: Any = -1.0) -> Tensor:
    x, by = (input, other) if is_stream(input) else (other, input)
    if e.is_parameter(by) and "div" not in func.__name__:
        return e.rescaled(x * by, x._exponent)
    if (
        isinstance(by, bool)
        or not isinstance(by, int | float)
        or by == 0
        or (x is not input and "div" in func.__name__)
    ):
        raise e.unknown(func.__name__, "by anything but a number or a parameter")
    factor = 1 / by if "div" in func.__name__ else float(by)
    return tag(x * (factor if e.kind == RECORD else abs(factor) ** e.factor_power), x._exponent)
