"""Modules from the command line: ``FILE.py:FACTORY``, ``zoo:NAME`` or ``timm:NAME``.

Whatever is wrong with a factory or its module is a `ValueError` of one line that says what and what
would be right.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from verify.networks.claims.assumptions import Report, assumptions
from verify.networks.claims.budget import TOLD_APART, single_threaded
from verify.networks.claims.names import check_spec

RETURN_BOTH = "let the factory return (module, example input)"
SIZES = (32, 28, 64, 224)
"""Image sizes that are tried, in this order, for a module whose first layer is a convolution."""


@dataclass(frozen=True)
class Loaded:
    """A module, inputs for it, the name under which to report it, and which assumptions hold of it."""

    name: str
    module: nn.Module
    x: Tensor
    report: Report


def load(spec: str, *, x: Tensor | None = None, samples: int = 8, seed: int = 0) -> Loaded:
    """The module that ``spec`` names, in evaluation mode unless its factory chose otherwise, with inputs.

    Args:
        spec: ``FILE.py:FACTORY`` (a function without arguments that returns a module or a pair of module
            and example input, a module class, or a module), ``zoo:NAME`` or ``timm:NAME``.
        x: inputs to use, samples first; else the factory's own, else standard normal ones of the shape
            that the first layer takes.
        samples: how many inputs to draw.
        seed: seed of the weights that the factory draws and of the inputs.

    What the code prints goes to standard error: standard output may be read by a program.

    Raises:
        ValueError: nothing of that name, or a module that nothing can be said about; one line.
    """
    with contextlib.redirect_stdout(sys.stderr):
        return _load(spec, x, samples, seed)


def _load(spec: str, x: Tensor | None, samples: int, seed: int) -> Loaded:
    kind, _, rest = spec.partition(":")
    if samples < 1:
        raise ValueError(f"at least one sample is needed; got {samples}")
    check_spec(spec)
    if kind == "zoo":
        module, shape = _zoo(rest, seed), None
    elif kind == "timm":
        module, shape = _timm(rest, seed)
    else:
        made = _from_file(spec, seed)
        module, given = made if isinstance(made, tuple) else (made, None)
        x, shape = (given if x is None else x), None
    check_module(spec, module)
    given_inputs = x is not None
    if x is None:
        x = _inputs(spec, module, shape, samples, seed)
    first = next(p for p in module.parameters())
    if x.is_floating_point():
        x = x.to(first.dtype)
    return Loaded(spec, module, x, check(spec, module, x, given=given_inputs))


def check_module(spec: str, module: Any) -> None:
    """Raise ValueError unless ``module`` is a module with finite parameters."""
    if not isinstance(module, nn.Module):
        raise ValueError(f"{spec}: it gives {_a(module)}, not a torch.nn.Module; {RETURN_BOTH}")
    if not any(True for _ in module.parameters()):
        raise ValueError(f"{spec}: the module has no parameters, so there is nothing to prune or to check")
    for name, p in module.named_parameters():
        if isinstance(p, nn.parameter.UninitializedParameter):
            raise ValueError(f"{spec}: the parameter {name} is not initialised yet; run the module once in the factory")
        if p.is_meta:
            raise ValueError(f"{spec}: the parameter {name} is on the meta device, where tensors have no numbers")


def check(spec: str, module: nn.Module, x: Tensor, *, given: bool = True) -> Report:
    """The module's report, or ValueError where it cannot be recorded at all on ``x``.

    Args:
        spec: how the module was named.
        module: the module.
        x: inputs.
        given: whether somebody chose the inputs; else their shape was guessed.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ValueError(f"{spec}: the example input is {_a(x)}; a floating-point tensor, samples first, is needed")
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"{spec}: the example input has shape {tuple(x.shape)}; at least one sample is needed")
    if given and _one_sample(module, x):
        one = "one sample without an axis of samples; give it as x[None]"
        raise ValueError(f"{spec}: the example input has shape {tuple(x.shape)}, {one}")
    try:
        with single_threaded():
            report = assumptions(module, x, limit=TOLD_APART)
    except SystemExit as e:
        raise ValueError(f"{spec}: its forward called sys.exit({e.code!r})") from None
    for name in ("single-input", "tensor-output", "static-graph", "finite"):
        if why := report.why(name):
            raise ValueError(f"{spec}: {why[0]}; {_advice(name, why[0], module, given)}")
    return report


def _one_sample(module: nn.Module, x: Tensor) -> bool:
    """Whether ``x`` looks like a single sample, which linear maps and convolutions take as well."""
    shape = next(iter(_shapes(module)), ())
    like = len(x.shape) == len(shape) and (tuple(x.shape) == shape if len(shape) == 1 else x.shape[0] == shape[0])
    return like and _runs(module, x[None])


def _advice(name: str, why: str, module: nn.Module, given: bool) -> str:
    """What to do about the first reason for which an assumption fails."""
    if "does not run on inputs" in why:
        known = " or ".join(f"(N, {', '.join(map(str, s))})" for s in _shapes(module)[:1])
        where = f", such as {known}" if known and given else ""
        return f"give inputs of a shape that it takes{where}" if given else RETURN_BOTH
    if why.startswith("x:"):
        return "give inputs that are numbers"
    if "gradients switched off" in why:
        return "leave out torch.no_grad and custom gradients between its parameters and its output"
    if "written through a view" in why:
        return "use torch.cat, torch.where or sums in place of what writes into a part of a tensor"
    if "outputs are not finite" in why:
        return "its values leave the range of float64: use smaller weights or inputs"
    return {
        "single-input": "wrap it in a module that takes one tensor",
        "tensor-output": "wrap it so that it returns one tensor, samples first",
        "static-graph": "remove the control flow that depends on the data",
        "finite": "initialise it with finite numbers",
    }[name]


def _a(value: Any) -> str:
    name = type(value).__name__
    return "nothing (None)" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch's global generator, which constructors draw from, seeded inside and restored after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _zoo(name: str, seed: int) -> nn.Module:
    from verify.networks import zoo

    try:
        return zoo.build(name, seed=seed)
    except KeyError as e:
        raise ValueError(f"zoo:{name}: {e.args[0]}") from None


def _timm(name: str, seed: int) -> tuple[nn.Module, tuple[int, ...] | None]:
    try:
        import timm
    except ImportError:
        raise ValueError(f"timm:{name}: timm is not installed; pip install 'pruning-theorems[timm]'") from None
    known = timm.list_models()
    if name.split(".")[0] not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() shows all"
        raise ValueError(f"timm:{name}: timm has no such model; {hint}")
    with _seeded(seed):
        module = timm.create_model(name, pretrained=False)
    size = getattr(module, "default_cfg", {}).get("input_size")
    return module.eval(), tuple(size) if size else None


def _from_file(spec: str, seed: int) -> Any:
    file, _, attribute = spec.rpartition(":")
    source = _import(spec, Path(file), seed)
    if not hasattr(source, attribute):
        near = difflib.get_close_matches(attribute, [n for n in vars(source) if not n.startswith("_")], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"{spec}: {file} has no {attribute!r}{hint}")
    factory = getattr(source, attribute)
    if isinstance(factory, nn.Module):
        return factory.eval()
    if not callable(factory):
        raise ValueError(f"{spec}: {attribute} is {_a(factory)}; a function that returns a torch.nn.Module is needed")
    made = _call(spec, factory, seed)
    module = made[0] if isinstance(made, tuple) and len(made) == 2 else made
    if isinstance(module, nn.Module) and all(m.training for m in module.modules()):
        # Modules are born in training mode; one that was left so is taken to be meant for evaluation.
        module.eval()
    return made if isinstance(made, tuple) and len(made) == 2 else module


def _call(spec: str, factory: Callable[[], Any], seed: int) -> Any:
    try:
        with _seeded(seed):
            return factory()
    except SystemExit as e:
        raise ValueError(f"{spec}: the factory called sys.exit({e.code!r}); it has to return a module") from None
    except Exception as e:
        raise ValueError(f"{spec}: the factory raised {type(e).__name__}: {_line(e)}") from None


def _import(spec: str, path: Path, seed: int) -> ModuleType:
    found = importlib.util.spec_from_file_location(f"_subject_{path.stem}", path)
    if found is None or found.loader is None:
        raise ValueError(f"{spec}: {path} is not a Python file")
    source = importlib.util.module_from_spec(found)
    sys.modules[found.name] = source
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with _seeded(seed):
            found.loader.exec_module(source)
    except SystemExit as e:
        raise ValueError(f"{spec}: importing {path} called sys.exit({e.code!r})") from None
    except Exception as e:
        raise ValueError(f"{spec}: importing {path} raised {type(e).__name__}: {_line(e)}") from None
    finally:
        sys.path.remove(str(path.resolve().parent))
    return source


def _line(e: BaseException) -> str:
    return (str(e).strip().splitlines() or ["no message"])[0]


def _inputs(spec: str, module: nn.Module, shape: tuple[int, ...] | None, samples: int, seed: int) -> Tensor:
    shapes = [shape] if shape else _shapes(module)
    generator = torch.Generator().manual_seed(seed)
    dtype = next(module.parameters()).dtype
    for s in shapes:
        x = torch.randn(samples, *s, generator=generator).to(dtype)
        if len(shapes) == 1 or _runs(module, x):
            return x
    if not shapes:
        raise ValueError(f"{spec}: the shape of its input cannot be told from its first layer; {RETURN_BOTH}")
    raise ValueError(f"{spec}: it runs on none of the input shapes {', '.join(map(str, shapes))}; {RETURN_BOTH}")


def _shapes(module: nn.Module) -> list[tuple[int, ...]]:
    for m in module.modules():
        if isinstance(m, nn.Linear):
            return [(m.in_features,)]
        if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            d = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}[type(m)]
            return [(m.in_channels, *[size] * d) for size in SIZES]
    return []


def _runs(module: nn.Module, x: Tensor) -> bool:
    from verify.networks.recording.modes import evaluation_mode

    with torch.no_grad(), evaluation_mode(module):
        try:
            module(x[:1])
        except (Exception, SystemExit):
            return False
    return True


__all__ = ["Loaded", "check", "check_module", "load"]
