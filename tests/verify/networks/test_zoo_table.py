"""The table of every claim about networks on the zoo."""

from verify.bench.zoo import NETWORKS, run, summary
from verify.networks import zoo


def test_every_claim_has_a_verdict_and_a_reason_where_there_is_none():
    rows = run({"linear": 2}, examples=2, seconds=0.1)
    assert len(rows) > 50
    assert set(NETWORKS) <= set(zoo.names())
    for r in rows:
        assert r["verdict"] in ("survived", "refuted", "undecided", "not applicable")
        assert r["reasons"] or r["verdict"] == "survived", r["claim"]
        # A proved claim that is refuted on a module is a mistake of ours.
        assert (r["believed"], r["verdict"]) != ("proved", "refuted"), r
    assert "survived" in summary(rows)["linear"]
