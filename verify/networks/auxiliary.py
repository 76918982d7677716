"""Auxiliary evaluations of a torch module: the same graph with other gates, weights and inputs.

Sums over paths of a piecewise-linear network are evaluations of the network itself, changed as follows.

- *activation*: weights 1, input x^2, the gates of the ReLUs (squared, so that the slope of a leaky ReLU
  counts as it does in a path) and the argmax of the max pools copied from the original forward. Output k
  is then sum_{p -> k} a_p(x)^2 x_{s(p)}^2, sample by sample.
- *flow*: weights |theta|^q, input 1, every gate open, a max pool summing over its window. Output k is
  sum_{p -> k} |v_p|^q. One evaluation with a batch of one serves every batch.

A bias is a path from a constant input 1. Constant factors (1/window of an average pool, 1/sqrt(variance)
of a normalisation in evaluation mode) belong to the path's value v_p; a nonzero running mean is a path
from the constant input through the normalisation's weight.

Values may leave the range of float32, so every value carries an exponent: dividing a cut by one power of
two, the same for all samples and outputs, changes no ranking and no rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

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


@dataclass(frozen=True)
class Scaled:
    """``value * 2**exponent``: a tensor whose true size may lie outside the range of its dtype."""

    value: Tensor
    exponent: int

    def log10(self) -> float:
        """log10 of the sum of all entries, -inf for 0."""
        total = float(self.value.detach().double().sum())
        return -math.inf if total <= 0 else math.log10(total) + self.exponent * math.log10(2)

    def true(self) -> Tensor:
        """The numbers themselves in float64 (inf or 0 where even that does not reach)."""
        # In two steps, since 2**exponent alone may overflow where the product does not.
        half = self.exponent // 2
        return self.value.double() * _two(half) * _two(self.exponent - half)


def _two(exponent: int) -> float:
    return math.ldexp(1.0, exponent) if exponent < 1024 else math.inf


class Evaluation(TorchFunctionMode):
    """The mode under which a module is run to get one of the auxiliary evaluations.

    Args:
        module: the module (only its submodules' names are read).
        kind: RECORD, ACTIVATION or FLOW.
        power: the q of FLOW.
        gates: the gates that RECORD left, for ACTIVATION.
        biases: whether paths from the constant input count.
        rescale: whether values are kept in range by powers of two.
        ones: every parameter is known to be 1 (then a convolution is one channel wide).
    """

    def __init__(
        self, module: nn.Module, kind: str, *, power: int = 1, gates: list[Tensor] | None = None, biases: bool = True,
        rescale: bool = True, ones: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.module, self.kind, self.biases, self.rescale, self.ones = module, kind, biases, rescale, ones
        self.factor_power = {RECORD: 1, ACTIVATION: 0, FLOW: power}[kind]
        self.gates: list[Tensor] = [] if gates is None else gates
        self.used = 0
        self.path: list[str] = []

    def run(self, parameters: Mapping[str, Tensor], x: Tensor) -> Scaled:
        """The module's output on ``x``, shape (n, K), with ``parameters`` in place of its own.

        Raises:
            UnknownOperation: an operation that is not understood; names the submodule.
            ValueError: the module does not return one tensor with the samples first.
        """
        self.known = {id(p) for p in parameters.values()}
        handles = []
        for name, sub in self.module.named_modules():
            if name:
                handles.append(sub.register_forward_pre_hook(lambda _m, _i, name=name: self.path.append(name)))
                handles.append(sub.register_forward_hook(self._leave, always_call=True))
        x = _tag(x.detach().view_as(x), 0)
        modes = {m: m.training for m in self.module.modules()}
        try:
            self.module.eval()
            with self:
                out = functional_call(self.module, dict(parameters), (x,))
        finally:
            for m, training in modes.items():
                m.training = training
            for h in handles:
                h.remove()
        if not isinstance(out, Tensor) or not _is_stream(out):
            raise ValueError(f"the module returns {type(out).__name__}: one tensor that depends on the input is needed")
        out = _resolve(out)
        return Scaled(out.reshape(len(out), -1), out._exponent)  # type: ignore[attr-defined]

    def _leave(self, *_: Any) -> None:
        self.path.pop()

    @property
    def where(self) -> str:
        """Path of the submodule that is running."""
        return self.path[-1] if self.path else ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", str(func))
        args = tuple(_resolve(a) for a in args)
        kwargs = {k: _resolve(v) for k, v in kwargs.items()}
        tensors = _flat((args, tuple(kwargs.values())))
        if not any(_is_stream(t) for t in tensors):
            out = func(*args, **kwargs)
            if any(self._is_parameter(t) for t in tensors) and isinstance(out, Tensor):
                if name not in _SHAPE_OF_PARAMETERS:
                    raise UnknownOperation(self.where, name, "of parameters")
                out._is_parameter = True  # type: ignore[attr-defined]
            return out
        if name == "__get__":
            return _like(func(*args, **kwargs), args[0])
        if name in _QUERIES:
            return func(*args, **kwargs)
        plain = name.strip("_") if name.startswith("__") else name.rstrip("_")
        handler = _HANDLERS.get(plain)
        if handler is None:
            raise UnknownOperation(self.where, name)
        try:
            out = handler(self, func, *args, **kwargs)
        except TypeError:
            raise UnknownOperation(self.where, name, "with these arguments") from None
        if (
            (name.endswith("_") and not name.startswith("__"))
            or name.startswith("__i")
            or kwargs.get("inplace") is True
        ):
            # Whoever still holds the argument must see the new value.
            args[0]._becomes = out
        return out

    def _is_parameter(self, t: Any) -> bool:
        return isinstance(t, Tensor) and (id(t) in self.known or getattr(t, "_is_parameter", False))

    def unknown(self, what: str, why: str) -> UnknownOperation:
        """The error for an operation of the running submodule."""
        return UnknownOperation(self.where, what, why)

    # -- values with exponents ------------------------------------------------------------------------

    def rescaled(self, out: Tensor, exponent: int) -> Tensor:
        """``out`` divided by a power of two, if it has grown or shrunk a lot."""
        if self.rescale and self.kind != RECORD:
            top = float(out.detach()[:1].amax())
            if not top > 0 and len(out) > 1:
                top = float(out.detach().amax())
            k = math.frexp(top)[1] if 0 < top < math.inf else 0
            if abs(k) > 12:
                out, exponent = out * math.ldexp(1.0, -k), exponent + k
        return _tag(out, exponent)

    def joined(self, terms: list[Tensor]) -> tuple[list[Tensor], int]:
        """Values (or constants, of exponent 0) on their common, largest exponent."""
        exponents = [getattr(t, "_exponent", 0) for t in terms]
        top = max(exponents)
        return [t if e == top else t * math.ldexp(1.0, e - top) for t, e in zip(terms, exponents, strict=True)], top

    def plus_bias(self, out: Tensor, exponent: int, bias: Tensor | None) -> Tensor:
        """Add a constant path, where those count."""
        if bias is None or (self.kind != RECORD and not self.biases):
            return self.rescaled(out, exponent)
        (out, bias), exponent = self.joined([_tag(out, exponent), bias])
        return self.rescaled(out + bias, exponent)

    def averaged(self, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """A pooling average whose constant factor 1/count counts to the power that this evaluation asks for."""
        out = func(x, *args, **kwargs)
        if self.factor_power != 1:
            ones = torch.ones_like(x[:1, :1])
            count = self._counts(ones, func, *args, **kwargs)
            out = out * (func(ones, *args, **kwargs) / count) ** (self.factor_power - 1)
        return _tag(out, x._exponent)  # type: ignore[attr-defined]

    def _counts(self, ones: Tensor, func: Any, *args: Any, **kwargs: Any) -> Tensor:
        if func.__name__.startswith("adaptive"):
            probe = torch.zeros_like(ones).requires_grad_()
            # The derivative of the average by its inputs is 1/count; its squares sum to the same.
            with torch.enable_grad():
                out = func(probe, *args, **kwargs)
                share = [torch.autograd.grad(o, probe, retain_graph=True)[0].amax() for o in out.reshape(-1)]
            return 1 / torch.stack(share).reshape(out.shape)
        given = dict(zip(("kernel_size", "stride", "padding", "ceil_mode"), args, strict=False)) | {
            k: v for k, v in kwargs.items() if k in ("kernel_size", "stride", "padding", "ceil_mode")
        }
        return F.avg_pool2d(ones, **given, divisor_override=1)


# -- small helpers ------------------------------------------------------------------------------------


def _tag(t: Tensor, exponent: int) -> Tensor:
    t._exponent = exponent  # type: ignore[attr-defined]
    return t


def _is_stream(t: Any) -> bool:
    return hasattr(t, "_exponent")


def _resolve(a: Any) -> Any:
    if isinstance(a, Tensor):
        while hasattr(a, "_becomes"):
            a = a._becomes
        return a
    if isinstance(a, tuple | list) and any(isinstance(b, Tensor) for b in a):
        return type(a)(_resolve(b) for b in a)
    return a


def _flat(a: Any) -> list[Tensor]:
    if isinstance(a, Tensor):
        return [a]
    return [t for b in a for t in _flat(b)] if isinstance(a, tuple | list) else []


def _like(out: Any, x: Tensor) -> Any:
    if isinstance(out, Tensor):
        return _tag(out, x._exponent)  # type: ignore[attr-defined]
    if isinstance(out, tuple | list):
        for o in out:
            _like(o, x)
    return out


_QUERIES = {
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
_SHAPE_OF_PARAMETERS = {
    "t", "transpose", "permute", "view", "reshape", "expand", "expand_as", "unsqueeze", "squeeze", "flatten", "__get__",
    "contiguous", "size", "dim",
}  # fmt: skip

# -- handlers -------------------------------------------------------------------------------------------

_HANDLERS: dict[str, Callable[..., Any]] = {}


def _handles(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        _HANDLERS.update(dict.fromkeys(names, f))
        return f

    return register


@_handles("linear")
def _linear(e: Evaluation, func: Any, input: Any, weight: Any, bias: Any = None) -> Tensor:
    if not e._is_parameter(weight):
        raise e.unknown("linear", "by a weight that is not a parameter")
    if e.ones:
        out = input.sum(-1, keepdim=True).expand(*input.shape[:-1], len(weight))
    else:
        out = func(input, weight)
    return e.plus_bias(out, input._exponent, bias)


@_handles("matmul")
def _matmul(e: Evaluation, func: Any, input: Any, other: Any) -> Tensor:
    if not _is_stream(input) or not e._is_parameter(other):
        raise e.unknown("matmul", "of anything but a value and a parameter")
    return e.rescaled(func(input, other), input._exponent)


@_handles("conv1d", "conv2d", "conv3d")
def _convolution(
    e: Evaluation, func: Any, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    if not e._is_parameter(weight):
        raise e.unknown("convolution", "by a weight that is not a parameter")
    if e.ones:
        n, c, *size = input.shape
        summed = input.reshape(n, groups, c // groups, *size).sum(2)
        one = func(summed, weight[:groups, :1], None, stride, padding, dilation, groups)
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
        return _tag(func(input, running_mean, running_var, weight, bias, False, momentum, eps), 0)
    shape = (-1, *[1] * (input.ndim - 2))
    q = e.factor_power
    factor = (running_var.to(input) + eps) ** (-q / 2)
    weight = torch.ones_like(factor) if weight is None else weight
    drift = running_mean.to(input).abs() ** q if q else (running_mean != 0).to(input)
    shift = weight * factor * drift
    shift = shift if bias is None else shift + bias
    out = input * (weight * factor).view(shape)
    return e.plus_bias(out, input._exponent, shift.view(shape))


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
        return _tag(input.view_as(input), input._exponent)
    if e.kind == RECORD:
        gate = (input > 0).to(input.dtype)
        if slope:
            gate = gate + slope * (1 - gate)
        e.gates.append(gate)
        return _tag(input * gate, 0)
    gate = e.gates[e.used]
    e.used += 1
    # Gates of ReLU are their own squares.
    return _tag(input * (gate * gate if slope else gate), input._exponent)


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
        return _tag(out, 0)
    if e.kind == FLOW:
        if dilation not in (1, (1, 1)):
            raise e.unknown("max_pool2d", "with dilation")
        out = F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, divisor_override=1)
        return e.rescaled(out, input._exponent)
    chosen = e.gates[e.used]
    e.used += 1
    out = input.flatten(2).gather(2, chosen.flatten(2)).view(chosen.shape)
    return _tag(out, input._exponent)


@_handles("avg_pool2d", "adaptive_avg_pool2d")
def _average(e: Evaluation, func: Any, input: Any, *args: Any, **kwargs: Any) -> Tensor:
    return e.averaged(func, input, *args, **kwargs)


@_handles("mean")
def _mean(e: Evaluation, func: Any, input: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    dims = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims or 0 in {d % input.ndim for d in dims} or kwargs.get("dtype") is not None:
        raise e.unknown("mean", "over the samples")
    count = math.prod(input.shape[d] for d in dims)
    return _tag(input.sum(dims, keepdim) * float(count) ** -e.factor_power, input._exponent)


@_handles("sum")
def _sum(e: Evaluation, func: Any, input: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    dims = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims or 0 in {d % input.ndim for d in dims} or kwargs.get("dtype") is not None:
        raise e.unknown("sum", "over the samples")
    return _tag(func(input, dims, keepdim), input._exponent)


@_handles(
    "flatten", "view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "getitem", "chunk",
    "split", "unbind", "clone", "view_as", "narrow", "unflatten",
)  # fmt: skip
def _shape(e: Evaluation, func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    return _like(func(input, *args, **kwargs), input)


@_handles("pad")
def _pad(e: Evaluation, func: Any, input: Any, pad: Any, mode: str = "constant", value: Any = None) -> Tensor:
    if mode == "constant" and value:
        raise e.unknown("pad", "with a constant other than 0")
    return _tag(func(input, pad, mode, value), input._exponent)


@_handles("cat", "concat", "concatenate", "stack")
def _cat(e: Evaluation, func: Any, tensors: Any, dim: int = 0) -> Tensor:
    if dim == 0 or not all(_is_stream(t) for t in tensors):
        raise e.unknown(func.__name__, "along the samples, or with constants")
    tensors, exponent = e.joined(list(tensors))
    return _tag(func(tensors, dim), exponent)


@_handles("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout")
def _dropout(e: Evaluation, func: Any, input: Any, p: float = 0.5, training: bool = True, **_: Any) -> Tensor:
    if training and p > 0:
        raise e.unknown("dropout", "in training mode")
    return _tag(input.view_as(input), input._exponent)


@_handles("add", "iadd", "radd", "sub", "isub")
def _add(e: Evaluation, func: Any, input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    if alpha != 1 or not isinstance(other, Tensor) or not isinstance(input, Tensor):
        raise e.unknown(func.__name__, "of a number")
    for a, b in ((input, other), (other, input)):
        if _is_stream(a) and e._is_parameter(b) and (e.kind != RECORD or "sub" not in func.__name__):
            return e.plus_bias(a, a._exponent, b)
    if not (_is_stream(input) and _is_stream(other)):
        raise e.unknown(func.__name__, "of a constant")
    # A difference is a sum with an edge of weight -1, whose powers of absolute value are 1.
    minus = "sub" in func.__name__ and e.kind == RECORD
    (input, other), exponent = e.joined([input, other])
    return _tag(input - other if minus else input + other, exponent)


@_handles("mul", "imul", "rmul", "multiply", "div", "truediv", "itruediv", "true_divide", "neg")
def _scale(e: Evaluation, func: Any, input: Any, other: Any = -1.0) -> Tensor:
    x, by = (input, other) if _is_stream(input) else (other, input)
    if e._is_parameter(by) and "div" not in func.__name__:
        return e.rescaled(x * by, x._exponent)
    if (
        isinstance(by, bool)
        or not isinstance(by, int | float)
        or by == 0
        or (x is not input and "div" in func.__name__)
    ):
        raise e.unknown(func.__name__, "by anything but a number or a parameter")
    factor = 1 / by if "div" in func.__name__ else float(by)
    return _tag(x * (factor if e.kind == RECORD else abs(factor) ** e.factor_power), x._exponent)


# -- the evaluations --------------------------------------------------------------------------------------


def parameters_of(module: nn.Module, masks: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Detached parameters by name, with masked weights 0."""
    found = {n: p.detach() for n, p in module.named_parameters()}
    return found if masks is None else {n: p * masks[n].to(p) if n in masks else p for n, p in found.items()}


@torch.no_grad()
def record(module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
    """The outputs (n, K) of the original network, and its gates in the order in which they were met."""
    e = Evaluation(module, RECORD)
    return e.run(parameters_of(module, masks), x).value, e.gates


@torch.no_grad()
def activation(
    module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None, *, biases: bool = True,
    rescale: bool = True,
) -> Scaled:  # fmt: skip
    """sum_{p -> k} a_p(x_n)^2 x_{n,s(p)}^2 over the paths through unmasked weights, shape (n, K).

    Its sum over n is D_k. A masked weight is no edge: paths through it do not count.
    """
    _, gates = record(module, x, masks)
    ones = {n: torch.ones_like(p) for n, p in module.named_parameters()}
    if masks is not None:
        ones.update({n: m.to(ones[n]) for n, m in masks.items()})
    dense = masks is None or all(bool(m.all()) for m in masks.values())
    e = Evaluation(module, ACTIVATION, gates=gates, biases=biases, rescale=rescale, ones=dense)
    return e.run(ones, x * x)


def flow(
    module: nn.Module,
    x: Tensor,
    weights: Mapping[str, Tensor],
    power: int,
    *,
    biases: bool = True,
    rescale: bool = True,
) -> Scaled:
    """R_k = sum_{p -> k} of the products of ``weights``, shape (1, K), differentiable in the weights.

    Args:
        module: the module.
        x: any batch; only the shape of one sample and the dtype are read.
        weights: |theta|^power for every parameter by name.
        power: the q with which constant factors count.
        biases: whether paths from the constant input count.
        rescale: whether values are kept in range by powers of two.
    """
    return Evaluation(module, FLOW, power=power, biases=biases, rescale=rescale).run(weights, torch.ones_like(x[:1]))


__all__ = ["Evaluation", "Scaled", "UnknownOperation", "activation", "flow", "parameters_of", "record"]
