"""Masks of the weights of a torch module: applied, held through training, kept in files, transformed, looked at."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from theory.names import did_you_mean
from verify.networks.scores.methods import check_masks, on_live_paths, paths_per_output

TRANSFORMS = ("shuffle", "reinitialise", "invert")


class LostWarning(UserWarning):
    """A mask has taken all weights of a layer, or all paths to an output."""


@contextlib.contextmanager
def counting_losses() -> Iterator[None]:
    """Context without `LostWarning`, for whoever counts what is lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LostWarning)
        yield


@dataclass(frozen=True)
class Round:
    """What one round left.

    Attributes:
        kept: number of weights left.
        layers: number of weights left in each scored parameter.
        log10_objective: log10 of the R by which the round pruned, -inf for 0 (None for methods without one).
        log10_paths: log10 of the number of input-output paths left, -inf for none (None if not asked for).
        constant: whether the outputs are the same for every sample (None if not asked for).
    """

    kept: int
    layers: dict[str, int]
    log10_objective: float | None = None
    log10_paths: float | None = None
    constant: bool | None = None

    @property
    def alive(self) -> bool | None:
        """Whether an input-output path is left (None if not asked for)."""
        return None if self.log10_paths is None else self.log10_paths > float("-inf")

    @property
    def emptied(self) -> tuple[str, ...]:
        """The parameters that have lost all their weights."""
        return tuple(n for n, k in self.layers.items() if k == 0)


@dataclass(frozen=True)
class Masks(Mapping[str, Tensor]):
    """Boolean masks by parameter name, True where a weight stays, and how they came about.

    Attributes:
        masks: the masks.
        method: the method that chose them.
        settings: in how many rounds, with which statistics and temperature, in words.
        rounds: one record a round.
    """

    masks: dict[str, Tensor]
    method: str = ""
    settings: str = ""
    rounds: tuple[Round, ...] = field(default=())

    def __getitem__(self, name: str) -> Tensor:
        return self.masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.masks)

    def __len__(self) -> int:
        return len(self.masks)

    def __str__(self) -> str:
        how = ", ".join(filter(None, (self.method, self.settings)))
        return f"{self.kept:,} of {self.total:,} weights kept (density {self.density:.3g}){how and ': ' + how}"

    # -- what they keep -----------------------------------------------------------------------------------

    @property
    def kept(self) -> int:
        """Number of weights that stay."""
        return sum(int(m.sum()) for m in self.masks.values())

    @property
    def total(self) -> int:
        """Number of weights."""
        return sum(m.numel() for m in self.masks.values())

    @property
    def density(self) -> float:
        """Fraction of the weights that stays."""
        return self.kept / self.total

    def per_layer(self) -> dict[str, float]:
        """Fraction that stays of each parameter."""
        return {n: int(m.sum()) / max(1, m.numel()) for n, m in self.masks.items()}

    @property
    def emptied(self) -> tuple[str, ...]:
        """The parameters that have lost all their weights."""
        return tuple(n for n, m in self.masks.items() if not bool(m.any()))

    def live(self, module: nn.Module, x: Tensor, *, gates: bool = True) -> float:
        """Effective density: the fraction of all weights that stay and stand on a live path.

        Args:
            module: the module; left as it was.
            x: inputs, samples first; with ``gates=False`` only the shape of a sample is read.
            gates: a path is live if its weights stay, its input is not 0 and all its ReLUs are on for some sample,
                in the masked module; False: if its weights stay, which is the effective density of Vysogorets
                and Kempe (arXiv 2107.02306).

        Raises:
            NotCovered: an operation through which there are no paths.
            KeyError, ValueError: masks that do not fit the module.
        """
        check_masks(module, self.masks)
        return sum(int(m.sum()) for m in on_live_paths(module, x, self.masks, gates=gates).values()) / self.total

    def lost_outputs(self, module: nn.Module, x: Tensor) -> tuple[int, ...]:
        """Numbers of the outputs, flattened, to which no path of weights that stay leads from the input.

        Raises:
            NotCovered: an operation through which there are no paths.
        """
        return tuple((paths_per_output(module, x, self.masks) == 0).nonzero().flatten().tolist())

    # -- on a module --------------------------------------------------------------------------------------

    @torch.no_grad()
    def apply(self, module: nn.Module) -> nn.Module:
        """Set the masked weights of ``module`` to 0, in place, and return it.

        Raises:
            KeyError: a mask for a parameter that the module does not have.
            ValueError: a mask whose shape is not its parameter's.
        """
        check_masks(module, self.masks)
        for n, p in module.named_parameters():
            if n in self.masks:
                p.mul_(self.masks[n].to(p))
        return module

    def hold(self, module: nn.Module) -> Held:
        """Apply the masks to ``module`` and hold them there while it is trained; see `Held`.

        Example::

            with masks.hold(module):
                train(module)

        Raises:
            KeyError, ValueError: as `apply`.
        """
        return Held(module, self)

    def to_torch_prune(self, module: nn.Module) -> nn.Module:
        """Hand the masks over to `torch.nn.utils.prune`, in place (``weight_orig`` and ``weight_mask``); return it.

        Raises:
            KeyError, ValueError: as `apply`.
        """
        check_masks(module, self.masks)
        for n, m in self.masks.items():
            where, _, name = n.rpartition(".")
            owner = module.get_submodule(where)
            torch_prune.custom_from_mask(owner, name, m.to(getattr(owner, name).device))
        return module

    @classmethod
    def from_torch_prune(cls, module: nn.Module) -> Masks:
        """The masks that `torch.nn.utils.prune` holds on ``module``, by the names of the weights without it.

        Raises:
            ValueError: there are none.
        """
        found = {}
        for where, owner in module.named_modules():
            for name in [b.removesuffix("_mask") for b, _ in owner.named_buffers(recurse=False) if b.endswith("_mask")]:
                if f"{name}_orig" in owner._parameters:
                    found[f"{where}.{name}" if where else name] = getattr(owner, f"{name}_mask").bool().clone()
        if not found:
            raise ValueError("torch.nn.utils.prune holds no masks on this module")
        return cls(found, "torch.nn.utils.prune")

    # -- kept in a file -----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data, which ``torch.load(..., weights_only=True)`` takes; see `from_state_dict`."""
        rounds = [dataclasses.asdict(r) for r in self.rounds]
        return {"masks": dict(self.masks), "method": self.method, "settings": self.settings, "rounds": rounds}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Masks:
        """The masks of a `state_dict`.

        Raises:
            ValueError: something else.
        """
        if not isinstance(state, Mapping) or not isinstance(state.get("masks"), Mapping):
            raise ValueError("these are no masks: a dictionary with 'masks', as Masks.state_dict() gives, is needed")
        for n, m in state["masks"].items():
            if not isinstance(m, Tensor) or m.dtype is not torch.bool:
                what = m.dtype if isinstance(m, Tensor) else type(m).__name__
                raise ValueError(f"the mask of {n} is {what}: a tensor of bool is needed")
        try:
            rounds = tuple(Round(**r) for r in state.get("rounds", ()))
        except TypeError as e:
            raise ValueError(f"the rounds of these masks cannot be read: {e}") from None
        return cls(dict(state["masks"]), str(state.get("method", "")), str(state.get("settings", "")), rounds)

    # -- sanity checks ------------------------------------------------------------------------------------

    def transform(self, kind: str, module: nn.Module | None = None, *, seed: int = 0) -> Masks:
        """What the masks become in a sanity check of the literature (Frankle et al., arXiv 2009.08576).

        Args:
            kind: "shuffle": as many weights in each layer, at other places. "reinitialise": the same masks, and the
                weights of ``module`` are drawn anew, in place, by its submodules' ``reset_parameters``. "invert":
                the weights that went stay and the others go. (That paper inverts scores, which keeps the density:
                ``prune(..., select="bottom")``.)
            module: for "reinitialise" only.
            seed: of what is drawn.

        Raises:
            ValueError: an unknown kind, a module that is missing or not needed, or one that cannot draw its weights.
        """
        if kind not in TRANSFORMS:
            raise ValueError(
                f"no transform is called {kind!r}; {did_you_mean(kind, TRANSFORMS)} known: {', '.join(TRANSFORMS)}"
            )
        if (module is not None) != (kind == "reinitialise"):
            needs = "needs the module whose weights are drawn anew" if module is None else "takes no module"
            raise ValueError(f"{kind} {needs}")
        if kind == "invert":
            return Masks({n: ~m for n, m in self.masks.items()}, self.method, f"{self.settings}, inverted")
        if kind == "shuffle":
            g = torch.Generator().manual_seed(seed)
            moved = {
                n: m.flatten()[torch.randperm(m.numel(), generator=g).to(m.device)].view(m.shape)
                for n, m in self.masks.items()
            }
            return Masks(moved, self.method, f"{self.settings}, shuffled within layers")
        assert module is not None
        _reinitialise(module, self.masks, seed)
        return Masks(self.masks, self.method, f"{self.settings}, weights drawn anew", self.rounds)


def _reinitialise(module: nn.Module, masks: Mapping[str, Tensor], seed: int) -> None:
    check_masks(module, masks)
    drawn = {n: m for n, m in module.named_modules() if hasattr(m, "reset_parameters")}
    for n in masks:
        if not any(n.startswith(f"{where}." if where else "") for where in drawn):
            raise ValueError(f"{n} cannot be drawn anew: no submodule that holds it has reset_parameters")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for m in drawn.values():
            m.reset_parameters()


class Held:
    """Masks that hold on a module while it is trained by any `torch.optim.Optimizer`.

    Masked weights are 0 from the start. While the masks are held, their gradients are 0, and after each step of an
    optimiser so are they and what the optimiser keeps for them (momenta, averages of squares), whatever it held
    before; a state that is loaded into the module is masked. A context manager; leaving it, or `release`, takes
    the masks off: the weights stay as training left them, and nothing keeps them so.
    """

    def __init__(self, module: nn.Module, masks: Masks) -> None:
        masks.apply(module)
        self._held = {id(p): (p, masks[n]) for n, p in module.named_parameters() if n in masks.masks}
        handles = [p.register_hook(_Multiply(m)) for p, m in self._held.values() if p.requires_grad]
        self._handles: list[Any] = [
            *handles,
            register_optimizer_step_pre_hook(self._before),
            register_optimizer_step_post_hook(self._after),
            module.register_load_state_dict_post_hook(lambda *_: self._weights()),
        ]

    def release(self) -> None:
        """Take the masks off; a second time does nothing."""
        while self._handles:
            self._handles.pop().remove()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, where: TracebackType | None) -> None:
        self.release()

    @torch.no_grad()
    def _weights(self) -> None:
        for p, m in self._held.values():
            p.mul_(m.to(p))

    def _ours(self, optimizer: torch.optim.Optimizer) -> Iterator[tuple[Tensor, Tensor]]:
        for group in optimizer.param_groups:
            yield from (self._held[id(p)] for p in group["params"] if id(p) in self._held)

    @torch.no_grad()
    def _before(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for p, m in self._ours(optimizer):
            if p.grad is not None:
                p.grad.mul_(m.to(p.grad))

    @torch.no_grad()
    def _after(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for p, m in self._ours(optimizer):
            p.mul_(m.to(p))
            for kept in optimizer.state.get(p, {}).values():
                if isinstance(kept, Tensor) and kept.shape == p.shape:
                    kept.mul_(m.to(kept))


class _Multiply:
    """A gradient hook: the gradient under a mask."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def __call__(self, gradient: Tensor) -> Tensor:
        return gradient * self.mask.to(gradient)


__all__ = ["TRANSFORMS", "Held", "LostWarning", "Masks", "Round", "counting_losses"]
