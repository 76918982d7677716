"""docs/findings.md holds what certificates and tables give, and the tables what the trials give."""

import matplotlib
import numpy as np
import pytest

from verify.app.cli import main
from verify.studies.findings import charts, measures, page, plain, plots, tables
from verify.studies.findings.model import Numbers, percent


def test_the_page_is_what_certificates_and_tables_give():
    assert page.PAGE.read_text() == page.render()


@pytest.fixture(scope="module")
def drawn():
    return page.drawings()


def test_every_finding_has_its_figure():
    assert list(charts.CHARTS) == [f.name for f in page.FINDINGS]


def test_pictures_and_figures_are_what_certificates_and_tables_give(drawn):
    """Other versions of matplotlib write the same figure in other words; numbers are compared under the pinned one."""
    assert sorted(page.FOLDER.glob("*.svg")) == sorted(drawn), "run `python -m verify findings --write`"
    for path, text in drawn.items():
        kept = path.read_text()
        if "Matplotlib v" not in kept or f"Matplotlib v{matplotlib.__version__}," in kept:
            assert kept == text, f"{path.name}: run `python -m verify findings --write`"


def test_a_changed_number_changes_the_figure(monkeypatch, drawn):
    changed = [
        {**r, "spread_d": 0, "log10_trace": r["log10_trace"] + 1} for r in Numbers().rows("findings_path_quantities")
    ]
    kept = tables.Table.read
    monkeypatch.setattr(tables.Table, "read", lambda t: changed if t.name == "findings_path_quantities" else kept(t))
    with matplotlib.rc_context(page.style("bound-and-trace")):
        again = page.text_of(charts.CHARTS["bound-and-trace"].draw(Numbers()))
    assert again != drawn[page.FOLDER / "bound-and-trace.svg"]


def test_the_layers_of_the_heat_map_are_those_of_the_network():
    row = Numbers().rows("collapse_resnet20", method="px")[0]
    layers = plots.dense_layers()
    assert len(layers) == row["layers"]
    assert layers.sum() == row["weights"]
    for r in Numbers().rows("collapse_resnet20_rounds"):
        assert all(int(kept) <= most for kept, most in zip(str(r["layers"]).split(), layers, strict=True))


@pytest.mark.parametrize("table", tables.TABLES.values(), ids=list(tables.TABLES))
def test_every_table_is_recorded_with_its_provenance(table):
    text = table.path.read_text()
    assert text.startswith("#")
    assert "commit" in text.split("\n\n")[0]
    if table.configurations is not None:
        assert len(table.read()) == len(table.configurations())


def test_a_changed_number_changes_the_page(monkeypatch):
    changed = [{**r, "dead": r["dead"] + (r["keep"] == 9)} for r in tables.TABLES["scorers_small"].read()]
    kept = tables.Table.read
    monkeypatch.setattr(tables.Table, "read", lambda t: changed if t.name == "scorers_small" else kept(t))
    assert page.render() != page.PAGE.read_text()


def test_the_transfer_table_comes_out_again(tmp_path):
    assert not page.check_table(tables.TABLES["findings_transfer"], tmp_path).problems


def test_a_row_of_the_small_table_comes_out_again():
    again = tables._summary(measures.small_runs(scorer="px", keep=9, seed=0))
    (row,) = Numbers().rows("scorers_small", scorer="px", keep=9, guarded=False)
    assert not tables.differences([{k: row[k] for k in again}], [again])


def test_plain_and_torch_agree_to_the_last_digits():
    mine = measures.path_quantities(network="resnet20", dtype="float64", seed=5)
    torch = measures.path_quantities_torch(network="resnet20", dtype="float64", seed=5)
    for key in ("log10_trace", "log10_objective"):
        assert mine[key] == pytest.approx(torch[key], abs=1e-12)
    assert mine["l2"] == torch["l2"]


def test_recorded_quantities_of_the_two_implementations_agree():
    numbers = Numbers()
    for row in numbers.rows("findings_path_quantities_torch"):
        where = {k: row[k] for k in ("network", "dtype", "seed")}
        if row["dtype"] == "float64":
            mine = numbers.rows("findings_path_quantities", **where)[0]
            assert mine["log10_trace"] == pytest.approx(row["log10_trace"], abs=1e-11)
            assert mine["log10_objective"] == pytest.approx(row["log10_objective"], abs=1e-11)


def test_rescaling_changes_no_score():
    weights, image = plain.weights_of("resnet20", 1, np.float64), plain.images(1, 1, np.float64)[0]
    with_it = plain.Quantities("resnet20", weights, image, trace=False)
    without = plain.Quantities("resnet20", weights, image, trace=False, scaled=False)
    ratio = without.scores / with_it.scores
    assert ratio.max() == pytest.approx(ratio.min(), rel=1e-12)
    assert with_it.log10_objective == pytest.approx(without.log10_objective, abs=1e-10)


def test_differences_name_row_and_column():
    recorded = [{"a": 1, "b": 2.0, "c": "x"}]
    assert tables.differences(recorded, [{"a": 1, "b": 2.0000001, "c": "x"}]) == []
    assert tables.differences(recorded, [{"a": 1, "b": 2.1, "c": "x"}]) == ["row 1, b: recorded 2.0, computed 2.1"]
    assert tables.differences([{"a": 1, "b": ""}], [{"a": 1}]) == []
    assert tables.differences(recorded, []) == ["1 rows recorded, 0 computed"]


def test_a_share_is_not_rounded_up_to_all():
    assert percent(1.0) == "100 %"
    assert percent(0.9998) == "over 99.9 %"
    assert percent(0.5) == "50 %"


def test_numbers_that_are_not_there_are_named():
    with pytest.raises(KeyError, match=r"scorers_small\.csv has no row"):
        Numbers().rows("scorers_small", scorer="nobody")


def test_the_command_reports_a_difference(monkeypatch, capsys):
    monkeypatch.setattr(page, "TABLES", {})
    monkeypatch.setattr(page, "render", lambda: "another page")
    assert main(["findings"]) == 1
    out = capsys.readouterr().out
    assert "the page is not what certificates and tables give" in out
    assert "synaptic-flow--positive-scores-suffice.json: as recorded" in out


@pytest.mark.parametrize("network", ["resnet20", "vgg16_bn"])
def test_what_the_page_says_no_run_has_done(network):
    """PX at 1.8 % and above leaves a path in every recorded run; SynFlow-L2's scores fit into float32."""
    rows = Numbers().rows(f"collapse_{network}", method="px")
    assert all(r["on_live_paths"] > 0 for r in rows if r["density"] in (0.1, 0.018, 0.001))
    assert network == "vgg16_bn" or all(r["on_live_paths"] > 0 for r in rows)
    for method in ("synflow", "synflow-l2"):
        (row,) = Numbers().rows("float32_ranges", network=network, method=method, dtype="float32")
        assert row["plain_not_finite"] == row["plain_zero"] == 0


def test_what_the_page_says_in_words_is_in_the_tables():
    numbers = Numbers()
    for method in plots.HEAT:
        rows = numbers.rows("collapse_resnet20", method=method, density=0.018)
        assert all(r["on_live_paths"] > 0 for r in rows)
    (row,) = numbers.rows("float32_ranges", network="resnet50", method="synflow", dtype="float32")
    assert row["plain_not_finite"] > 0
    assert set(numbers.all("findings_outputs_lost", "lost", method="synflow-l2")) == {0}
    assert all(r["lost_0.1"] > 0 == r["lost_0.2"] for r in numbers.rows("findings_outputs_lost_small", method="px"))
    rows = numbers.rows("findings_outputs_lost_small", method="synflow-l2")
    assert sum(r["lost_0.01"] for r in rows) / sum(r["networks"] for r in rows) < 0.5
    guarded = [r["dead"] for r in numbers.rows("scorers_small") if str(r["guarded"]) == "True"]
    assert set(guarded) == {0}
