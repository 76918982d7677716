"""The house: no circles, arrows run down only, product code knows no tests, every file is on the map.

Arrows are imports, those inside functions and under TYPE_CHECKING included.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    ("verify.app", "verify.bench"),
    ("verify.studies",),  # its site shows the figures
    ("figures",),
    ("verify.experiments",),
    ("verify.networks",),
    ("verify.power", "verify.proofs"),
    ("verify.search",),
    ("verify.certificates",),
    ("verify.trials",),
    ("theory",),
)
"""From the top. A file may import from its own room and from the floors below, not from a room beside it."""
ROOMS_OF_NETWORKS = (("claims",), ("scores",), ("ntk", "exact"), ("paths",), ("recording",))


def sources():
    """Dotted name -> file of every product module."""
    files = [p for top in ("theory", "verify", "figures") for p in (ROOT / top).rglob("*.py")]
    names = {str(p.relative_to(ROOT).with_suffix("")).replace("/", "."): p for p in files}
    return {n.removesuffix(".__init__"): p for n, p in names.items()}


def arrows():
    """Module -> modules it imports."""
    known = sources()
    found = {}
    for name, path in known.items():
        out = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    out.add(full if full in known else node.module)
            elif isinstance(node, ast.Import):
                out |= {a.name for a in node.names}
        found[name] = {o for o in out if o != name}
    return found


ARROWS = arrows()


def reached(start):
    seen, todo = set(), [start]
    while todo:
        for there in ARROWS.get(todo.pop(), ()):
            if there not in seen:
                seen.add(there)
                todo.append(there)
    return seen


def room(name, floors):
    """(floor, room) of a module, or None where it is on no floor."""
    for level, rooms in enumerate(floors):
        for one in rooms:
            if name == one or name.startswith(one + "."):
                return level, one
    return None


def front_doors(name):
    """Packages whose ``__init__`` only forwards names are no arrows: `verify` names everything below it."""
    return name in ("verify", "verify.__main__")


def test_no_circles_among_files():
    circles = {frozenset(b for b in reached(a) if a in reached(b)) for a in ARROWS if a in reached(a)}
    circles = {c for c in circles if not c <= {"verify"}}
    assert not [sorted(c) for c in circles]


@pytest.mark.parametrize(
    ("floors", "prefix"),
    [(FLOORS, ""), (tuple(tuple(f"verify.networks.{r}" for r in rooms) for rooms in ROOMS_OF_NETWORKS), "")],
    ids=["verify", "networks"],
)
def test_arrows_run_down(floors, prefix):
    wrong = []
    for name, there in ARROWS.items():
        here = room(name, floors)
        if here is None or front_doors(name):
            continue
        for other in sorted(there):
            target = room(other, floors)
            if target is not None and target != here and target[0] <= here[0]:
                wrong.append(f"{name} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_product_code_knows_no_tests():
    wrong = [f"{n} imports {o}" for n, there in ARROWS.items() for o in there if o.split(".")[0] == "tests"]
    wrong += [n for n, p in sources().items() if '/ "tests"' in p.read_text()]
    assert not wrong


def test_the_mathematics_needs_neither_torch_nor_hypothesis():
    for name, there in ARROWS.items():
        if name.split(".")[0] == "theory":
            assert not {o.split(".")[0] for o in there} & {"torch", "hypothesis", "verify", "figures"}, name


def test_every_folder_is_a_package():
    for top in ("theory", "verify", "figures"):
        for folder in {p.parent for p in (ROOT / top).rglob("*.py")}:
            assert (folder / "__init__.py").exists(), f"{folder.relative_to(ROOT)}: an installed package lacks it"
