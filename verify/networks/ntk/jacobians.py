"""Squared gradient norms from per-sample Jacobians: slow, general, and an independent opinion on the sweep.

Nothing of a record is used, only the module itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from verify.networks.recording.checks import ALL, alike, check_output, does_not_run, hooked, mixes
from verify.networks.recording.graph import NotCovered
from verify.networks.recording.modes import evaluation_mode, substituted, untouched


def all_jacobians(module: nn.Module, x: Tensor, memory: int, *, alone: bool) -> Tensor:
    """Squared gradient norms (N, K) of a module that the sweep does not cover.

    Args:
        module: the module.
        x: inputs (N, ...).
        memory: bytes that the Jacobians of one chunk of samples may take.
        alone: whether it is known that a sample's output depends on that sample alone.
    """
    x = x.detach()
    parameters = sum(p.numel() for p in module.parameters())
    with torch.no_grad(), evaluation_mode(module):
        outputs = _run(module, x[:1], x)
        if not alone:
            _check_alone(module, x)
    size = max(1, memory // (16 * max(1, parameters * outputs.numel())))
    return torch.cat([jacobian_squares(module, c) for c in x.split(size)])


def _run(module: nn.Module, x: Tensor, given: Tensor) -> Tensor:
    """The outputs on ``x``, some samples of ``given``."""
    try:
        out = module(x)
    except Exception as e:
        raise does_not_run(given, e) from e
    check_output(out, len(out) if isinstance(out, Tensor) and out.ndim else 0)
    return out


def _check_alone(module: nn.Module, x: Tensor) -> None:
    """Raise unless samples have the same outputs by themselves as in company, and each time."""
    few, generator = x[sorted({0, len(x) // 2, len(x) - 1})], torch.get_rng_state()
    together = _run(module, few, x)
    check_output(together, len(few))
    alone = [_run(module, few[i : i + 1], x) for i in range(len(few))]
    if not torch.equal(torch.get_rng_state(), generator):
        raise NotCovered("", "", "draws random numbers: there is no function of one sample", ALL)
    if any(len(a) != 1 or not alike(together[i : i + 1], a) for i, a in enumerate(alone)):
        raise mixes()


@untouched
def jacobian_squares(module: nn.Module, x: Tensor) -> Tensor:
    """Squared gradient norms (S, K), by autograd.

    ``vmap(jacrev)`` where the module allows it and one backward pass through the module itself agrees, else one
    backward pass per sample and output.
    """
    x = x.detach()
    parameters = {n: p.detach() for n, p in module.named_parameters()}

    def one(p: dict[str, Tensor], sample: Tensor) -> Tensor:
        with substituted(module, p):
            return _outputs(module(sample[None]), dims)

    with torch.no_grad(), evaluation_mode(module):
        dims = _run(module, x[:2], x).ndim
        _outputs(_run(module, x[:1], x), dims)
    # Hooks see no gradient under vmap, and where it is 0 a comparison would not show it.
    if hooked(module.named_modules(), module.named_parameters()) is not None:
        return torch.stack([_one_by_one(module, sample, dims) for sample in x])
    with torch.enable_grad():
        try:
            jacobian = torch.func.vmap(torch.func.jacrev(one), in_dims=(None, 0))(parameters, x)
            agrees = _agrees(module, x[-1], {n: j[-1] for n, j in jacobian.items()}, dims)
        except Exception:
            # Whatever functorch does not do; an error of the module itself shows below.
            agrees = False
        if not agrees:
            return torch.stack([_one_by_one(module, sample, dims) for sample in x])
    return sum(j.double().square().reshape(*j.shape[:2], -1).sum(-1) for j in jacobian.values())


def _outputs(out: Tensor, dims: int) -> Tensor:
    """The outputs (K,) of the only sample of a batch."""
    if out.ndim < 1 or out.ndim != dims or len(out) != 1:
        raise ValueError(
            f"the module maps one sample to shape {tuple(out.shape)}: the first axis must be samples, of one, too"
        )
    return out[0].reshape(-1)


def _agrees(module: nn.Module, sample: Tensor, jacobian: Mapping[str, Tensor], dims: int) -> bool:
    """Whether a Jacobian (K, ...) of one sample, summed over outputs with signs, is what a backward pass gives.

    Torch's own rules for many samples at once are not always right (`torch.cdist`).
    """
    leaves = _leaves(module)
    with evaluation_mode(module):
        out = _outputs(module(sample[None]), dims)
    signs = (torch.randint(0, 2, out.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(out)
    plain = torch.autograd.grad((out * signs).sum(), list(leaves.values()), materialize_grads=True)
    tolerance = 1e-3 if torch.finfo(out.dtype).eps > 1e-10 else 1e-8
    size = max([float(g.abs().amax()) for g in plain if g.numel()], default=0.0)
    found = {n: (j * signs.reshape(-1, *[1] * (j.ndim - 1))).sum(0) for n, j in jacobian.items()}
    return all(
        torch.allclose(found[n], g, rtol=0, atol=tolerance * size, equal_nan=True)
        for n, g in zip(leaves, plain, strict=True)
    )


def _leaves(module: nn.Module) -> dict[str, Tensor]:
    """The module's own parameters, frozen ones included, for autograd."""
    for p in module.parameters():
        p.requires_grad_()
    return dict(module.named_parameters())


def _one_by_one(module: nn.Module, sample: Tensor, dims: int) -> Tensor:
    leaves = list(_leaves(module).values())
    with evaluation_mode(module):
        out = _outputs(_run(module, sample[None], sample[None]), dims)
    rows = []
    for k in range(len(out)):
        total = torch.zeros((), dtype=torch.float64, device=out.device)
        if out.requires_grad:
            grads = torch.autograd.grad(out[k], leaves, retain_graph=True, allow_unused=True)
            total = sum((g.double().square().sum() for g in grads if g is not None), total)
        rows.append(total)
    return torch.stack(rows)


__all__ = ["all_jacobians", "jacobian_squares"]
