"""Inside `verify.networks` imports run down: claims | scores | ntk, exact | paths | recording."""

import ast
from pathlib import Path

import verify.networks

ROOT = Path(verify.networks.__file__).parent
FLOOR = {"recording": 0, "paths": 1, "ntk": 2, "exact": 2, "scores": 3, "claims": 4}


def imported(path):
    """Modules of the package that a file imports, inside functions as well; not those for annotations alone."""
    tree = ast.parse(path.read_text())
    skipped = {id(n) for i in ast.walk(tree) if isinstance(i, ast.If) and "TYPE_CHECKING" in ast.unparse(i.test)
               for n in ast.walk(i)}  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("verify.networks."):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("verify.networks."))


def name(path):
    return "verify.networks." + ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_imports_run_down():
    arrows = {name(f): set(imported(f)) for f in ROOT.glob("*/*.py")}
    for source, targets in arrows.items():
        for target in targets:
            above, below = source.split(".")[2], target.split(".")[2]
            if below in FLOOR and above != below:
                assert FLOOR[below] < FLOOR[above], f"{source} imports {target}"


def test_there_are_no_circles():
    arrows = {name(f): set(imported(f)) for f in ROOT.glob("*/*.py")}
    left = dict(arrows)
    while left:
        free = [n for n, targets in left.items() if not targets & set(left)]
        assert free, f"a circle among {', '.join(sorted(left))}"
        for n in free:
            del left[n]
