"""The prover on planted mistakes: the record, and one row of each kind again."""

from verify.studies import proved_mistakes
from verify.trials.tables import read_csv

ROWS = read_csv(proved_mistakes.TABLE)


def test_no_wrong_claim_was_proved_and_nine_in_ten_were_refuted_by_the_prover_alone():
    assert len(ROWS) >= 500
    assert not [r["mistake"] for r in ROWS if r["proved_where_wrong"]]
    wrong = [r for r in ROWS if r["counterexample"]]
    assert sum(r["counterexample"] == "prover" for r in wrong) >= 0.9 * len(wrong)


def test_a_row_is_as_recorded():
    name = "path-exclusion/residual-decay-at-any-step [1] x 0.999"
    (recorded,) = [r for r in ROWS if r["mistake"] == name]
    assert proved_mistakes.row(name) == recorded
    assert "1 of them refuted by the prover alone" in proved_mistakes.summary([recorded])


def test_what_is_proved_where_it_is_wrong_would_be_seen(monkeypatch):
    name = "sketching/unbiased-mask [mask] off by 0.1 %"
    assert proved_mistakes.row(name)["verdict"] == "refuted"
    honest = proved_mistakes.prove

    def blind(claim, **options):
        from theory.claims import claim_named

        return honest(claim_named(claim.id), **options)

    monkeypatch.setattr(proved_mistakes, "prove", blind)
    assert proved_mistakes.row(name)["proved_where_wrong"]
