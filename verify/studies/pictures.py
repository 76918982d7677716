"""Pictures of the README, drawn from certificates: ``python -m verify.studies.pictures`` writes them."""

from __future__ import annotations

import json

from verify.certificates.drawing import network_svg
from verify.certificates.second_opinion import Net, pruned
from verify.studies.claims_page import CERTIFICATES, ROOT
from verify.trials import files

FOLDER = ROOT / "docs" / "figures"
DEATH = CERTIFICATES / "findings" / "path-exclusion--stays-alive-literal.json"


def drawn() -> dict[str, str]:
    """File name -> SVG: the network that PX kills, before with its scores and after."""
    instance = json.loads(DEATH.read_text())["instance"]
    net, kept = Net(instance), pruned(instance)
    scores = net.scores("px", net.activation())
    notes = {j: f"score {s}" for j, s in enumerate(scores)}
    before = (
        f"A network with three weights. PX scores them {', '.join(map(str, scores))}. On the input its output is 1."
    )
    after = "The same network without the weight of the smallest score. Its ReLU is off, and its output is 0."
    return {
        "px-dies-before.svg": network_svg(instance, before, notes=notes, standalone=True) + "\n",
        "px-dies-after.svg": network_svg(instance, after, kept=kept, standalone=True) + "\n",
    }


if __name__ == "__main__":
    for name, text in drawn().items():
        print(files.write(FOLDER / name, text))
