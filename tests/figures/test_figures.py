"""The figures: what they are called, that they draw their CSV, and that nothing is cut off."""

import dataclasses
import itertools

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from figures import cli, registry, style
from verify import trials
from verify.experiments import cifar, papers, sketches
from verify.trials import data, origin, tables


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return trials.Store(tmp_path_factory.mktemp("trials"))


def test_every_figure_has_trials_at_every_scale_and_a_caption():
    assert len(registry.figures()) >= 20
    for f in registry.figures():
        assert f.title.endswith(".")
        assert len(f.caption) > 80
        if "resnet20" in f.name and not data.available("cifar10"):
            continue
        if "papers" in f.scales:
            assert f.name.split("/")[1] in papers.PROTOCOLS
            continue
        sizes = [len({trials.identity(c) for c in f.configurations(s)}) for s in registry.SCALES]
        assert 0 < sizes[0] <= sizes[1] <= sizes[2]


def test_names_papers_and_near_misses():
    assert registry.figures_named(["same-law"])[0].name == "no-free-prune/same-law"
    assert {f.name.split("/")[0] for f in registry.figures_named(["sketching"])} == {"sketching"}
    with pytest.raises(KeyError, match=r"did you mean no-free-prune/same-law"):
        registry.figures_named(["same-lwa"])
    with pytest.raises(ValueError, match="scale is smoke, small, full, not 'huge'"):
        registry.make(registry.figures()[0], scale="huge", store=trials.Store("nowhere"))


@pytest.mark.parametrize("name", ["synflow-against-sketch", "error-against-draws"])
def test_a_figure_is_its_csv_and_has_no_text_outside(name, store, tmp_path):
    (wanted,) = registry.figures_named([name])
    made = registry.make(wanted, store=store, out=tmp_path, jobs=1, quiet=True)
    assert made.png.stat().st_size > 10_000
    assert made.csv.read_text().startswith(f"# figure: {wanted.name}\n# scale: smoke\n# news: ")
    rows = trials.read_csv(made.csv)
    assert len(rows) == made.rows
    with matplotlib.rc_context(style.STYLE):
        canvas = wanted.draw(rows)
        FigureCanvasAgg(canvas).draw()  # lays out
        page = canvas.bbox
        written = [t for ax in canvas.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts)]
        written += [t for legend in canvas.legends for t in legend.get_texts()]
        for text in written:
            if text.get_text():
                box = text.get_window_extent()
                assert box.x0 >= page.x0 - 1, text.get_text()
                assert box.x1 <= page.x1 + 1, text.get_text()
        titles = [ax.title.get_window_extent() for ax in canvas.axes]
        for left, right in itertools.pairwise(titles):
            assert left.x1 <= right.x0 or left.y0 >= right.y1 or right.y0 >= left.y1


def test_one_missing_data_set_does_not_stop_the_others(monkeypatch, store, tmp_path, capsys):
    def missing(name):
        raise data.DataError(f"{name} is not here")

    monkeypatch.setattr(data, "folder", missing)
    chosen = registry.figures_named(["cifar10-resnet20", "synflow-against-sketch"])
    monkeypatch.setattr(registry, "figures_named", lambda names: chosen)
    common = ["--out", str(tmp_path), "--trials", str(store.folder), "--jobs", "1", "--quiet"]
    assert cli.main(["make", *common]) == 0
    out = capsys.readouterr()
    assert "cifar10-resnet20: left out, cifar10 is not here" in out.err
    assert "sketching-synflow-against-sketch.png" in out.out
    kept = tmp_path / "results"
    assert cli.main(["make", *common, "--csv", str(kept), "--png", str(tmp_path / "docs")]) == 0
    (one,) = kept.iterdir()
    (picture,) = (tmp_path / "docs").iterdir()
    assert picture.stat().st_size < 0.7 * (tmp_path / picture.name).stat().st_size
    assert one.read_bytes() == (tmp_path / one.name).read_bytes()
    assert cli.main(["make", "cifar10-resnet20", *common]) == 2


def test_bad_input_is_one_line(capsys):
    assert cli.main(["make", "nothing-like-it"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert cli.main(["make", "cover", "--jobs", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


def test_summary_and_proportion_are_the_textbook_ones():
    s = style.summary([1.0, 2.0, 3.0])
    assert s["mean"] == 2.0
    assert s["high"] - 2.0 == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    p = style.proportion(3, 10)
    assert (p["low"], p["high"]) == (pytest.approx(0.107789, abs=1e-5), pytest.approx(0.603222, abs=1e-5))
    assert style.proportion(0, 10)["low"] == 0.0


def test_the_sketch_error_is_what_the_closed_form_says():
    """The points of error-against-draws lie on its lines: within five standard errors."""
    found = sketches.error_against_draws(data="gaussian", draws=[4, 64], repeats=4000, seed=1)
    for i in range(2):
        assert abs(found["sampled"][i] - found["exact"][i]) < 5 * found["sampled_se"][i]
        assert abs(found["binary_sampled"][i] - found["binary"][i]) < 5 * found["binary_sampled_se"][i]


def test_finished_trials_only(store, tmp_path):
    """Nothing is run: a figure with no trials says so, one with some of them says how many are missing."""
    (wanted,) = registry.figures_named(["survival"])
    with pytest.raises(ValueError, match="none of its 28 trials is finished"):
        registry.make(wanted, store=store, out=tmp_path, finished=True)
    # 30 and 1 inputs of two methods; the others' lines are simply not there.
    some = [c for c in wanted.configurations("smoke") if c["method"] in ("random", "magnitude") and c["seed"] == 0]
    trials.run(some, store, jobs=1, quiet=True)
    made = registry.make(wanted, store=store, out=tmp_path, finished=True)
    assert made.provenance["missing trials"] == 24
    assert {r["method"] for r in trials.read_csv(made.csv)} == {"random", "magnitude"}


def test_failed_trials_are_left_out_and_said(tmp_path, capsys, monkeypatch):
    """A figure is drawn from what is finished; the failed ones are counted in its CSV and named on stderr."""
    store = trials.Store(tmp_path / "trials")
    (whole,) = registry.figures_named(["survival"])
    few = [c for c in whole.configurations("smoke") if c["method"] in ("random", "magnitude")]
    wanted = dataclasses.replace(whole, configurations=lambda scale: few)
    monkeypatch.setattr(registry, "figures_named", lambda names: [wanted])
    first = few[0]
    store.write_failure(trials.Failure(first, "diverged: a is nan"))
    common = ["--out", str(tmp_path), "--trials", str(store.folder), "--jobs", "1", "--quiet"]
    assert cli.main(["make", wanted.name, *common]) == 0
    out = capsys.readouterr()
    assert "left out, trial" in out.err
    assert "diverged: a is nan" in out.err
    csv = tmp_path / "path-exclusion-survival.csv"
    assert "# failed trials: 1\n" in csv.read_text()
    assert cli.main(["make", wanted.name, *common, "--retry"]) == 0
    assert "failed trials" not in csv.read_text()
    (needs_all,) = [f for f in registry.figures() if f.name == "sketching/error-against-draws"]
    store.write_failure(trials.Failure(needs_all.configurations("smoke")[0], "it raised"))
    with pytest.raises(ValueError, match=r"cannot be drawn without the 1 trials that have no results: .*it raised"):
        registry.make(needs_all, store=store, out=tmp_path, jobs=1, quiet=True)


def test_shards_run_their_part_and_draw_nothing(tmp_path, capsys):
    common = ["make", "synflow-against-sketch", "--out", str(tmp_path), "--trials", str(tmp_path / "t"), "--quiet"]
    counts = []
    for part in ("1/2", "2/2"):
        assert cli.main([*common, "--jobs", "1", "--shard", part]) == 0
        counts.append(int(capsys.readouterr().out.split(": ")[1].split()[0]))
    (wanted,) = registry.figures_named(["synflow-against-sketch"])
    assert sum(counts) == len(wanted.configurations("smoke"))
    assert not list(tmp_path.glob("*.png"))
    assert cli.main([*common, "--shard", "3/2"]) == 2
    assert "got '3/2'" in capsys.readouterr().err


def test_the_cifar_figure_draws_every_arm_in_its_mode(monkeypatch):
    """Made-up accuracies through the figure's own table and drawing."""
    monkeypatch.setattr(data, "folder", lambda name: None)
    (wanted,) = [f for f in registry.figures() if f.name == "accuracy/cifar10-resnet20"]
    made = {"accuracy": 0.3, "constant": False, "classes_lost": 0}
    done = [trials.Trial(c, made) for c in wanted.configurations("small")]
    rows = wanted.table(done)
    assert {r["scoring"] for r in rows if r["method"] == "grasp"} == {
        "batch statistics, temperature 200",
        "stored statistics",
        "batch statistics, temperature 200, absolute value",
    }
    drawn = {tick.get_text() for ax in wanted.draw(rows).axes for tick in ax.get_yticklabels()}
    assert {"SNIP (stored statistics)", "|GraSP| (batch statistics, temperature 200, absolute value)", "PX"} <= drawn
    assert len(drawn) == len(cifar.ARMS)
    assert all(len(r["accuracies"].split()) == r["n"] == 10 for r in rows)
    assert wanted.news(rows).endswith("dense 30.0 %")


def test_a_method_has_one_colour_and_no_two_share_look():
    """Colour and marker tell methods apart wherever they are drawn; figures take both from the one table."""
    looks = [(color, marker, line) for color, marker, line, _ in style.LOOKS.values()]
    assert len(set(looks)) == len(looks)
    assert style.LOOKS["imp"][0] != style.LOOKS["magnitude-after-training"][0]
    assert style.LOOKS["grasp"][0] != style.LOOKS["grasp-200"][0]


def test_the_csv_says_settings_sizes_and_how_methods_score(store, tmp_path):
    (wanted,) = registry.figures_named(["spectra-dense-and-pruned"])
    some = [c for c in wanted.configurations("smoke") if c["method"] in ("dense", "px", "grasp-200")]
    small = dataclasses.replace(wanted, configurations=lambda scale: some)
    made = registry.make(small, store=store, out=tmp_path, jobs=1, quiet=True)
    said = tables.read_provenance(made.csv)
    assert said["settings"]["samples"] == 24
    assert said["n"] == trials.read_csv(made.csv)[0]["n"]
    assert "100 rounds" in said["scores"]["px"]


def test_sanity_checks_are_paired_by_network_and_decided():
    """Made-up accuracies: shuffling costs SNIP two points in every network, the other checks nothing."""
    (wanted,) = registry.figures_named(["sanity-checks"])
    done = []
    for c in wanted.configurations("small"):
        base = [0.5 + 0.01 * ((7 * c["seed"] + i) % 11) for i in range(4)]
        lost = 0.02 if (c["method"], c["sanity"]) == ("snip", "shuffle") else 0.0
        done.append(trials.Trial(c, {"accuracy": [v - lost for v in base], "live": [0.9] * 4}))
    rows = {(r["method"], r["check"]): r for r in wanted.table(done)}
    hit = rows.pop(("snip", "shuffle"))
    assert hit["verdict"] == "worse"
    assert hit["mean"] == pytest.approx(-2.0)
    assert hit["n"] == 24
    assert (hit["live"], hit["live under check"]) == (0.9, 0.9)
    assert {r["verdict"] for r in rows.values()} == {"undecided"}
    wanted.draw([*rows.values(), hit])
    short = [t for t in done if not (t["method"] == "snip" and t["sanity"] == "none" and t["seed"] == 3)]
    assert {r["n"] for r in wanted.table(short) if r["method"] == "snip"} == {20}
    assert wanted.news([*rows.values(), hit]).startswith("shuffle worse for 1 of 14; reinitialise worse for 0")
    assert {r["check"] for r in rows.values() if r["method"] == "imp"} == {"shuffle", "reinitialise", "relabel"}


def test_the_news_follow_the_numbers():
    """The sentence above a picture is computed: other numbers say another sentence."""
    (wanted,) = registry.figures_named(["outputs-lost"])
    rows = [{"method": m, "density": 0.01, "mean": v, "low": v, "high": v, "n": 3} for m, v in (("px", 6), ("snip", 1))]
    assert wanted.news(rows) == "Outputs of ten without a path, at 1 % of the weights: PX 6, SNIP 1"
    assert "PX 2, SNIP 1" in wanted.news([{**rows[0], "mean": 2}, rows[1]])


RECORDED = sorted((origin.ROOT / "results" / "figures").glob("*.csv"))


@pytest.mark.parametrize("csv", RECORDED, ids=lambda p: p.stem)
def test_recorded_tables_say_the_news_of_their_rows(csv):
    said = tables.read_provenance(csv)
    (wanted,) = [f for f in registry.figures() if f.name == said["figure"]]
    assert csv.stem == wanted.name.replace("/", "-")
    assert said["news"] == wanted.news(trials.read_csv(csv))
    assert said["scale"] == "small"
    assert "missing trials" not in said


def test_recorded_tables_are_all_figures_and_of_one_clean_commit():
    assert {p.stem for p in RECORDED} == {f.name.replace("/", "-") for f in registry.figures_named([])}
    commits = {c for p in RECORDED for c in tables.read_provenance(p)["commits"]}
    assert len(commits) == 1
    assert not any(c.endswith("+") for c in commits)
