"""Every small perceptron: does each claim about networks end decided, or with a reason of its own?

``python -m verify.studies.perceptron_grid [COUNT]`` takes the first COUNT shapes (60) of an order that spreads over
all perceptrons with one or two hidden layers of up to 32 ReLUs, with and without biases, and writes a row each to
``results/perceptron_grid.csv``. Rows that are there already are kept, so that an interrupted run goes on; without a
limit (COUNT 0) the whole grid is run.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from theory.claims import Status, claims
from verify.networks.claims.subject import Subject, about_networks
from verify.trials.origin import of_search
from verify.trials.tables import read_csv, write_csv

RESULT = Path(__file__).resolve().parents[2] / "results" / "perceptron_grid.csv"
WIDEST, EXAMPLES, SAMPLES = 32, 4, 2
INPUTS, OUTPUTS = (1, 2, 4, 8, 12, 16, 32), (1, 2, 3, 10)


def shapes() -> Iterator[tuple[tuple[int, ...], bool]]:
    """Widths from input to output, and whether there are biases; the corners first, then in an order of chance."""
    hidden = [(h,) for h in range(1, WIDEST + 1)]
    pairs: list[tuple[int, ...]] = [*hidden, *itertools.product(range(1, WIDEST + 1), repeat=2)]
    every = [((i, *h, o), b) for h in pairs for i in INPUTS for o in OUTPUTS for b in (False, True)]
    corners = [((i, *h, o), b) for h in ((8,), (32,), (32, 32), (1, 1), (4, 16)) for i, o in ((4, 2), (32, 10))
               for b in (False, True)]  # fmt: skip
    order = np.random.default_rng(0).permutation(len(every))
    yield from dict.fromkeys([*corners, *(every[j] for j in order)])


def built(widths: tuple[int, ...], bias: bool) -> tuple[nn.Module, Tensor]:
    """The perceptron with drawn weights, and inputs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sum(w * 40**k for k, w in enumerate(widths)) % 2**31)
        layers = [m for a, b in itertools.pairwise(widths) for m in (nn.Linear(a, b, bias=bias), nn.ReLU())]
        return nn.Sequential(*layers[:-1]), torch.randn(SAMPLES, widths[0])


def row(widths: tuple[int, ...], bias: bool) -> dict[str, Any]:
    """What became of the claims about networks on one of them."""
    start = time.process_time()
    subject = Subject(*built(widths, bias), "-".join(map(str, widths)))
    chosen = [c for c in claims() if c.status is not Status.EMPIRICAL and about_networks(c)]
    outcomes = [subject.falsify(c, examples=EXAMPLES) for c in chosen]
    count = Counter(o.verdict for o in outcomes)
    status = {c.id: c.status for c in chosen}
    errors = [o.claim for o in outcomes if o.verdict == "undecided" and any("Error:" in r for r in o.reasons)]
    silent = [o.claim for o in outcomes if o.verdict == "undecided" and not o.reasons]
    wrong = [o.claim for o in outcomes if o.verdict == "refuted" and status[o.claim] is Status.PROVED]
    return {
        "widths": "-".join(map(str, widths)),
        "biases": bias,
        "enumerated": subject.exact is not None,
        **{v: count[v] for v in ("survived", "refuted", "not applicable", "undecided")},
        "theorems refuted": " ".join(wrong),
        "without a reason": " ".join(silent),
        "errors": " ".join(errors),
        "processor seconds": round(time.process_time() - start, 1),
    }


def main(argv: list[str]) -> int:
    """Run what is missing of the first shapes, writing the table after each."""
    count = int(argv[0]) if argv else 60
    rows = read_csv(RESULT) if RESULT.exists() else []
    known = {(r["widths"], str(r["biases"])) for r in rows}
    for widths, bias in itertools.islice(shapes(), count or None):
        if ("-".join(map(str, widths)), str(bias)) in known:
            continue
        rows.append(row(widths, bias))
        print(rows[-1], flush=True)
        about = {**of_search(0), "note": f"{EXAMPLES} instances a claim, {SAMPLES} inputs"}
        write_csv(rows, RESULT, provenance=about)
    bad = [r for r in rows if r["theorems refuted"] or r["without a reason"] or r["errors"]]
    print(f"{len(rows)} perceptrons, {len(bad)} with a claim that ends in an error or without a reason")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
