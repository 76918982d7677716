"""Which claims' assumptions hold on architectures of `timm`, and for each that does not, where and why."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

NAMES = (
    "resnet10t", "resnet18", "resnext26ts", "regnetx_002", "regnety_002", "densenet121", "mobilenetv2_035",
    "mobilenetv3_small_050", "efficientnet_b0", "convnext_atto", "mixer_s32_224", "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224", "vgg11", "vgg11_bn", "repvgg_a0", "dla34", "hrnet_w18_small", "ghostnet_100",
    "mnasnet_050", "resmlp_12_224", "poolformer_s12", "deit_tiny_patch16_224", "xcit_nano_12_p16_224",
    "convmixer_768_32", "inception_v3", "dpn48b", "cspresnet50", "levit_128s", "edgenext_xx_small", "fastvit_t8",
)  # fmt: skip
"""Architectures across families; not a selection of those that work."""
WORK = 4e11
"""Floating-point operations to spend on telling the gates of one architecture apart."""


def run(names: tuple[str, ...] = NAMES, seed: int = 0) -> list[dict[str, Any]]:
    """One row an architecture: assumptions that fail, how many places, the reasons by how often they occur.

    Args:
        names: names that `timm.create_model` takes; weights are drawn, nothing is downloaded.
        seed: seed of weights and inputs.

    Raises:
        ValueError: timm is not installed.
    """
    from verify.networks.claims.assumptions import ASSUMPTIONS, assumptions
    from verify.networks.claims.load import load

    rows = []
    for name in names:
        start = time.perf_counter()
        loaded = load(f"timm:{name}", samples=1, seed=seed)
        report = assumptions(loaded.module, loaded.x, limit=WORK)
        failing = [a for a in ASSUMPTIONS if report.why(a)]
        found = [f for f in report.findings if f.assumption in ASSUMPTIONS]
        why = Counter(f.why for f in found)
        rows.append(
            {
                "architecture": name,
                "parameters": sum(p.numel() for p in loaded.module.parameters()),
                "fails": ", ".join(failing) or "nothing",
                "places": len(found),
                "gates told apart in": _arithmetic(report),
                "first place": found[0].where if found else "",
                "reasons": "; ".join(f"{count} x {reason}" for reason, count in why.most_common(6)),
                "seconds": round(time.perf_counter() - start, 2),
            }
        )
    return rows


def _arithmetic(report: Any) -> str:
    """In what arithmetic all gates are certain."""
    run = report.forward
    if run is None:
        return ""
    if run.open:
        return "not all"
    return f"{run.digits} digits of 18 bits" if run.digits else "float64"
