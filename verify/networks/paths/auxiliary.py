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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from verify.networks.ntk.layers import keep_pages
from verify.networks.paths.auxiliary_operations import (
    ACTIVATION,
    FLOW,
    HANDLERS,
    QUERIES,
    RECORD,
    SHAPE_OF_PARAMETERS,
    UnknownOperation,
    flat,
    is_stream,
    like,
    resolve,
    tag,
)
from verify.networks.recording.record import evaluation_mode, in_place


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


def out_of_scale(top: float) -> int:
    """By how many powers of two to divide what has ``top`` as its largest number; 0 where it is not worth it."""
    k = math.frexp(top)[1] if 0 < top < math.inf else 0
    return k if abs(k) > 12 else 0


class Evaluation(TorchFunctionMode):
    """The mode under which a module is run to get one of the auxiliary evaluations.

    Args:
        module: the module (only its submodules' names are read).
        kind: RECORD, ACTIVATION or FLOW.
        power: the q with which constant factors count (without it 0 in ACTIVATION, else 1).
        gates: the gates that RECORD left, for ACTIVATION.
        biases: whether paths from the constant input count.
        rescale: whether values are kept in range by powers of two.
        ones: every parameter is known to be 1 (then a convolution is one channel wide).
    """

    def __init__(
        self, module: nn.Module, kind: str, *, power: int | None = None, gates: list[Tensor] | None = None,
        biases: bool = True, rescale: bool = True, ones: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.module, self.kind, self.biases, self.rescale, self.ones = module, kind, biases, rescale, ones
        self.factor_power = {RECORD: 1, ACTIVATION: 0, FLOW: 1}[kind] if power is None else power
        self.gates: list[Tensor] = [] if gates is None else gates
        self.used = 0
        self.stale = False
        self.path: list[str] = []

    def run(self, parameters: Mapping[str, Tensor], x: Tensor) -> Scaled:
        """The module's output on ``x``, shape (n, K), with ``parameters`` in place of its own.

        Raises:
            UnknownOperation: an operation that is not understood; names the submodule.
            ValueError: the module does not return one tensor with the samples first.
        """
        self.known, self.stale = {id(p) for p in parameters.values()}, False
        x = tag(x.detach().view_as(x), 0)
        with substituted(self.module, parameters):
            try:
                with self:
                    out = self.module(x)
            except UnknownOperation:
                # Again with hooks, which cost more than the rest on small batches, to say which submodule it was.
                self._locate(x)
                raise
        if not isinstance(out, Tensor) or not is_stream(out):
            raise ValueError(f"the module returns {type(out).__name__}: one tensor that depends on the input is needed")
        out = resolve(out)
        if hasattr(out, "_stale"):
            raise UnknownOperation("", "return", f"of a tensor that {out._stale} has written to through a view")
        return Scaled(out.reshape(len(out), -1), out._exponent)

    def _locate(self, x: Tensor) -> None:
        """Run again to raise `UnknownOperation` with the path of the submodule."""
        self.path, self.used, self.stale = [], 0, False
        if self.kind == RECORD:
            self.gates.clear()
        handles = []
        for name, sub in self.module.named_modules():
            if name:
                handles.append(sub.register_forward_pre_hook(lambda _m, _i, name=name: self.path.append(name)))
                handles.append(sub.register_forward_hook(self._leave, always_call=True))
        try:
            with self:
                self.module(x)
        finally:
            for h in handles:
                h.remove()

    def _leave(self, *_: Any) -> None:
        self.path.pop()

    @property
    def where(self) -> str:
        """Path of the submodule that is running."""
        return self.path[-1] if self.path else ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", str(func))
        args = tuple(resolve(a) for a in args)
        kwargs = {k: resolve(v) for k, v in kwargs.items()}
        tensors = flat((args, tuple(kwargs.values())))
        if self.stale:
            for t in tensors:
                if hasattr(t, "_stale"):
                    raise UnknownOperation(
                        self.where, name, f"of a tensor that {t._stale} has written to through a view"
                    )
        if not any(is_stream(t) for t in tensors):
            out = func(*args, **kwargs)
            if any(self.is_parameter(t) for t in tensors) and isinstance(out, Tensor):
                if name not in SHAPE_OF_PARAMETERS:
                    raise UnknownOperation(self.where, name, "of parameters")
                out._is_parameter = True  # type: ignore[attr-defined]
            return out
        if name == "__get__":
            return like(func(*args, **kwargs), args[0])
        if name in QUERIES:
            return func(*args, **kwargs)
        plain = name.strip("_") if name.startswith("__") else name.rstrip("_")
        handler = HANDLERS.get(plain)
        if handler is None:
            raise UnknownOperation(self.where, name)
        try:
            out = handler(self, func, *args, **kwargs)
        except TypeError:
            raise UnknownOperation(self.where, name, "with these arguments") from None
        if in_place(func, kwargs):
            # Whoever still holds the argument must see the new value; views of it, and what it views, cannot.
            args[0]._becomes = out
            root = getattr(args[0], "_root", args[0])
            for other in (root, *(v() for v in getattr(root, "_views", ()))):
                if other is not None and other is not args[0]:
                    other._stale, self.stale = name, True
        return out

    def is_parameter(self, t: Any) -> bool:
        return isinstance(t, Tensor) and (id(t) in self.known or getattr(t, "_is_parameter", False))

    def unknown(self, what: str, why: str) -> UnknownOperation:
        """The error for an operation of the running submodule."""
        return UnknownOperation(self.where, what, why)

    # -- values with exponents ------------------------------------------------------------------------

    def rescaled(self, out: Tensor, exponent: int) -> Tensor:
        """``out`` divided by a power of two, if it has grown or shrunk a lot."""
        if self.rescale and self.kind != RECORD:
            top = float((out.detach()[:1] if len(out) > 1 else out.detach()).amax())
            if not top > 0 and len(out) > 1:
                top = float(out.detach().amax())
            k = out_of_scale(top)
            if k:
                out, exponent = out * math.ldexp(1.0, -k), exponent + k
        return tag(out, exponent)

    def joined(self, terms: list[Tensor]) -> tuple[list[Tensor], int]:
        """Values (or constants, of exponent 0) on their common, largest exponent."""
        exponents = [getattr(t, "_exponent", 0) for t in terms]
        top = max(exponents)
        return [t if e == top else t * math.ldexp(1.0, e - top) for t, e in zip(terms, exponents, strict=True)], top

    def plus_bias(self, out: Tensor, exponent: int, bias: Tensor | None) -> Tensor:
        """Add a constant path, where those count."""
        if bias is None or (self.kind != RECORD and not self.biases):
            return self.rescaled(out, exponent)
        (out, bias), exponent = self.joined([tag(out, exponent), bias])
        return self.rescaled(out + bias, exponent)

    def averaged(self, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """A pooling average whose constant factor 1/count counts to the power that this evaluation asks for."""
        out = func(x, *args, **kwargs)
        if self.factor_power != 1:
            ones = torch.ones_like(x[:1, :1])
            count = self._counts(ones, func, *args, **kwargs)
            out = out * (func(ones, *args, **kwargs) / count) ** (self.factor_power - 1)
        return tag(out, x._exponent)  # type: ignore[attr-defined]

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


@contextmanager
def substituted(module: nn.Module, parameters: Mapping[str, Tensor]) -> Iterator[None]:
    """The module in evaluation mode with other tensors as its parameters, shared ones wherever they stand.

    What `torch.func.functional_call` does, but cheap enough for one sample; both are undone at the end.
    """
    others = {id(p): parameters[n] for n, p in module.named_parameters() if n in parameters}
    before = [(m, {k: p for k, p in m._parameters.items() if id(p) in others}) for m in module.modules()]
    with evaluation_mode(module):
        try:
            for m, held in before:
                for k, p in held.items():
                    m._parameters[k] = others[id(p)]  # type: ignore[assignment]
            yield
        finally:
            for m, held in before:
                m._parameters.update(held)


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


def laid_out(x: Tensor) -> Tensor:
    """A batch of images with the channels last, which convolutions on the CPU prefer."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 and len(x) > 1 and not x.is_cuda else x


@torch.no_grad()
def activation(
    module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None, *, biases: bool = True,
    rescale: bool = True,
) -> Scaled:  # fmt: skip
    """sum_{p -> k} a_p(x_n)^2 x_{n,s(p)}^2 over the paths through unmasked weights, shape (n, K).

    Its sum over n is D_k. A masked weight is no edge: paths through it do not count.
    """
    keep_pages()
    x = laid_out(x)
    _, gates = record(module, x, masks)
    ones = {n: torch.ones_like(p) for n, p in module.named_parameters()}
    if masks is not None:
        ones.update({n: m.to(ones[n]) for n, m in masks.items()})
    dense = masks is None or all(bool(m.all()) for m in masks.values())
    e = Evaluation(module, ACTIVATION, gates=gates, biases=biases, rescale=rescale, ones=dense)
    return e.run(ones, x * x)


def gated_flow(
    module: nn.Module,
    x: Tensor,
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    masks: Mapping[str, Tensor] | None = None,
    *,
    biases: bool = True,
    rescale: bool = True,
) -> Scaled:
    """sum_{p -> k} a_p(x_n)^2 z_{n,s(p)} of the products of ``weights``, shape (n, K), differentiable in the weights.

    Args:
        module: the module.
        x: inputs at which the gates are measured, under the masks.
        weights: theta^2 for every parameter by name.
        inputs: z, of the shape of x: x^2 for the energy of the paths, ones to count them.
        masks: the masks.
        biases: whether paths from the constant input count.
        rescale: whether values are kept in range by powers of two.
    """
    _, gates = record(module, x, masks)
    e = Evaluation(module, ACTIVATION, power=2, gates=gates, biases=biases, rescale=rescale)
    return e.run(weights, inputs)


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


__all__ = ["Evaluation", "Scaled", "UnknownOperation", "activation", "flow", "gated_flow", "parameters_of", "record"]
