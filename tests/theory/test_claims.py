"""The registry: ids of papers that are packages, claims that name each other, hints that are no hypotheses."""

import pytest

from theory.claims import PROVED, REFUTED, claim, claim_named, claims, hints
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.relations import holds

KNOWN = {c.id: c for c in claims()}


def test_files_of_a_package_share_the_id_of_the_paper():
    modules = {c.function.__module__ for c in KNOWN.values() if c.id.startswith("path-exclusion/")}
    assert len(modules) > 5
    assert claim_named("path-exclusion/trace-bound").function.__module__ == "theory.papers.path_exclusion.bounds"


def test_claims_name_claims_that_exist():
    for c in KNOWN.values():
        for name in (c.repairs, *c.see):
            assert not name or name in KNOWN, f"{c.id} names {name}"
        if c.repairs:
            assert (KNOWN[c.repairs].status, c.status) == (REFUTED, PROVED), c.id
            assert c.id in KNOWN[c.repairs].repaired_by


def test_a_repaired_claim_and_its_repair_name_each_other():
    literal, repaired = claim_named("path-exclusion/no-collapse-literal"), "frozen-activation-never-collapses"
    assert literal.repaired_by == (f"path-exclusion/{repaired}",)
    assert literal.twin == f"path-exclusion/{repaired}"
    assert claim_named(f"path-exclusion/{repaired}").twin == literal.id


def test_what_is_true_by_definition_is_proved_and_says_why():
    counted_apart = [c for c in KNOWN.values() if c.by_definition]
    assert all(c.status is PROVED for c in counted_apart)
    assert {"path-exclusion/removal-by-trace-is-best", "path-exclusion/kernel-sum-is-over-the-path"} <= {
        c.id for c in counted_apart
    }


def test_the_decorators():
    @claim(NetworkOnData, PROVED, PATH_EXCLUSION.at("eq. 6"), see=("one", "other-paper/two"))
    @hints({"depth": 2, "outputs": 1}, outputs=3)
    def made_here(instance):
        """A title.

        A statement.
        """
        return holds(True)

    assert made_here.id == "test-claims/made-here"
    assert made_here.see == ("test-claims/one", "other-paper/two")
    assert made_here.draws == {"depth": 2, "outputs": 3}
    assert (made_here.title, made_here.statement, str(ours("here"))) == (
        "A title.", "A statement.", "this project, here",
    )  # fmt: skip
    with pytest.raises(ValueError, match="needs a docstring"):
        claim(NetworkOnData, PROVED, ours("here"))(lambda i: holds(True))


@pytest.mark.parametrize(
    ("identity", "assumption"),
    [
        ("path-exclusion/no-collapse-literal", "scored-by-px"),
        ("path-exclusion/stays-alive-literal", "scored-by-px"),
        ("path-exclusion/leaves-as-many-outputs-as-synflow-l2", "scored-by-px"),
        ("path-exclusion/frozen-activation-stays-alive", "scored-by-px-frozen"),
        ("path-exclusion/energy-stays-alive", "scored-by-path-energy"),
        ("path-exclusion/trace-greedy-stays-alive", "greedy-by-trace"),
        ("path-exclusion/gelu-with-every-gate-on", "gelu-or-silu"),
        ("path-exclusion/tanh-with-every-gate-on", "tanh-units"),
        ("path-exclusion/released-scorer-agrees-without-fc", "zero-one-gates"),
        ("synaptic-flow/residual-layers-survive", "skip-connections"),
        ("synaptic-flow/released-threshold-keeps-the-target", "published-threshold"),
        ("synaptic-flow/threshold-keeps-the-target", "one-round"),
        ("synaptic-flow/why-absolute-values", "nonnegative-factors"),
    ],
)
def test_what_a_statement_is_about_is_an_assumption(identity, assumption):
    """It stood in ``draws`` alone: a run of another scorer is no counterexample to a statement about PX."""
    assert assumption in [a.name for a in claim_named(identity).assumptions]
