"""Proofs for all real numbers on bounded shapes: a claim is run on symbols, once for each pattern of comparisons.

`verify.proofs.symbols` is the scalar, `explore` runs all paths, `goals` closes what a path states, `shapes`
says which instances, `proving` puts it together (`prove`), `certificate` writes it down and `checker`, which
shares no code with the rest, checks what was written.
"""

LEVELS = ("small", "default", "large")
"""How large the shapes are."""
