"""Every claim about networks on every network of the zoo: the verdict, how it was had, and why where there is none."""

from __future__ import annotations

import sys
import time
from typing import Any

NETWORKS = {
    "linear": 8, "mlp": 8, "cnn": 8, "vit": 2, "resnet20": 2, "resnet32": 1, "vgg16_bn": 1, "vgg19_bn": 1,
    "wideresnet": 1, "resnet50": 1,
}  # fmt: skip
"""Networks, and how many random inputs each gets."""


def run(
    networks: dict[str, int] = NETWORKS, examples: int = 20, seconds: float = 1.5, seed: int = 0
) -> list[dict[str, Any]]:
    """One row a network and a claim.

    Args:
        networks: names of the zoo, and inputs for each.
        examples: instances a claim.
        seconds: for each claim; the module as given is always looked at.
        seed: of weights, inputs and the search.
    """
    import torch

    from theory.claims import Status, claims
    from theory.paths import NetworkOnData
    from verify.networks.claims.load import load
    from verify.networks.claims.subject import SETTINGS, Subject

    torch.set_num_threads(1)
    rows = []
    for name, samples in networks.items():
        start = time.perf_counter()
        loaded = load(f"zoo:{name}", samples=samples, seed=seed)
        subject = Subject(loaded.module, loaded.x, name)
        gates = subject.report.forward.open if subject.report.forward is not None else ""
        for claim in claims():
            about = claim.setting in SETTINGS or issubclass(NetworkOnData, claim.setting)
            if claim.status is Status.EMPIRICAL or not about:
                continue
            outcome = subject.falsify(claim, examples=examples, seconds=seconds, seed=seed)
            margin = outcome.smallest_margin
            rows.append(
                {
                    "network": name,
                    "weights": sum(p.numel() for p in loaded.module.parameters()),
                    "inputs": len(subject.x),
                    "open gates": gates,
                    "claim": claim.id,
                    "believed": str(claim.status),
                    "verdict": outcome.verdict,
                    "how": outcome.hows,
                    "instances": outcome.examples,
                    "smallest margin": f"{margin:.3g}" if abs(margin) < float("inf") else "",
                    "counterexample": outcome.counterexample if isinstance(outcome.counterexample, str) else "",
                    "stage": "; ".join(outcome.stages.values()),
                    "reasons": "; ".join(_few(outcome.reasons)),
                    "seed": seed,
                }
            )
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return rows


def _few(reasons: list[str]) -> list[str]:
    """The first three reasons, how many more there are, and what happens all the same."""
    tried = [r for r in reasons if "conclusion" in r]
    others = [r for r in reasons if r not in tried]
    more = [f"and {len(others) - 3} more"] if len(others) > 3 else []
    return others[:3] + more + tried


def main(path: str = "results/zoo_tables.csv") -> None:
    """Write the table, after each network."""
    from verify.trials import write_csv
    from verify.trials.origin import of_search

    rows: list[dict[str, Any]] = []
    for name, samples in NETWORKS.items():
        rows += run({name: samples})
        write_csv(rows, path, provenance=of_search(0))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Verdicts by network."""
    out: dict[str, Any] = {}
    for r in rows:
        out.setdefault(r["network"], {}).setdefault(r["verdict"], []).append(r["claim"])
    return {n: ", ".join(f"{len(c)} {v}" for v, c in by.items()) for n, by in out.items()}


if __name__ == "__main__":
    main()
