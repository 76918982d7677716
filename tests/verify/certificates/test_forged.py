"""Forged certificates: each is refused in one line or decided rightly, and none takes more than bounded work.

From real certificates every field and every leaf of the instance is changed, and the file is signed again: first as it
is, which is never accepted, and then by a careful forger, who makes the code to paste fit the changed instance. Such a
file is a certificate of another instance: it is accepted only with what `decide` gives for that one.
"""

import copy
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from theory.claims import Status, claim_named, claims
from theory.relations import Verdict, decide
from verify.app.cli import main
from verify.certificates import CertificateError, check, digest, replay, work
from verify.certificates.checking import FIELDS, MAX_BYTES, check_text
from verify.certificates.writing import sides
from verify.search.strategies import StackChooser, draw

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "certificates"
NAMES = (
    "no-free-prune--cover-count-with-ties", "no-free-prune--data-gain--without-best-fit",
    "no-free-prune--decoupling--without-sub-gaussian", "no-free-prune--information-is-enough",
    "no-free-prune--information-range--without-exactly-k-weights", "no-free-prune--law-of-robustness-many-components",
    "no-free-prune--counting--without-uniform-labels", "no-free-prune--noise-correlation-without-information",
    "path-exclusion--beyond-piecewise-linear", "path-exclusion--energy-stays-alive",
    "path-exclusion--guarded-pruning-keeps-a-live-path--without-starts-live", "path-exclusion--kinks",
    "path-exclusion--larger-trace-trains-faster", "path-exclusion--no-collapse-literal",
    "path-exclusion--released-score-with-batch-norm--without-average-pooled", "sketching--two-draws-never-beat-top",
    "sketching--synflow-deep-literal", "sketching--synflow-l2-relu--without-independent-signs",
    "sketching--transfer-literal", "sketching--unbiased-mask--without-every-feature-can-be-drawn",
    "synaptic-flow--any-layer-rescaling", "synaptic-flow--float32-range",
    "synaptic-flow--maximal-critical-compression--without-rescored",
)  # fmt: skip
"""One certificate of almost every setting, with and without dropped assumptions."""

HUGE = "9" * 5000
TOP = {
    "claim": ["", "x" * 250, "sketching/mask-size", "path-exclusion/larger-trace-trains-faste", "\u0000", "\ud800"],
    "statement": ["", "Pruning is harmless.", "a\nb", "this instance refutes \u2028", "\u202eesrever"],
    "setting": ["", "Instance", "NetworkInstance", "object", "MemorisationTrials", "../etc/passwd"],
    "violates": [[1], [[1]], [None], ["nonsense"], ["x", "x"], [{}], ["trace-bound"] * 50],
    "lhs": ["", "1/0", HUGE, "nan", "\u0663"],
    "rhs": ["", "-0", "inf", "1e10000000"],
    "kind": ["", "<", "!=", "<==", "==="],
    "how": ["", "by inspection", "float64", "ball (4096 bits)"],
    "seed": [-1, 10**20, 10**40],
    "replay": ["", "import os; os.abort()", HUGE],
    "instance": [{}, {"x": 1}],
    "format": ["", "pruning-theorems certificate 2"],
}
WRONG_TYPES = [None, True, 0, 1.5, "text", [], {}, [[[]]], float("nan"), float("inf")]
NUMBERS = [
    None, True, 1, 1.5, float("nan"), [], {}, [["1"]], "", "nan", "inf", "1/0", "-0", "0/5", "2/4", "01", "+1", " 1",
    "1 ", "1.5", "1e3", "1e10000000", "1_000", "0x10", "\u0663", "\uff11", "1/-2", "1//2", "1\n", HUGE, f"1/{HUGE}",
]  # fmt: skip
INTEGERS = [None, True, False, -1, -(10**9), 10**9, 10**12, 10**13, 10**30, 1.0, "1", "1e9", [], [1], {}]
TEXTS = [None, 1, "", "nonsense", "x" * 5000, "PX", [], {}, "px\n"]
TRUTHS = [None, 0, 1, "true", [], {}]


def body_of(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def mutations(value, where=()):
    """(place, new value) for every leaf, list and object in ``value``."""
    if isinstance(value, dict):
        yield from ((where, v) for v in ({}, [], None, {**value, "extra": 1}))
        for key in value:
            yield where, {k: v for k, v in value.items() if k != key}
            yield from mutations(value[key], (*where, key))
    elif isinstance(value, list):
        yield from ((where, v) for v in ([], None, {}, "1", [value], [*value, None], value[:-1], value * 300))
        for i, v in enumerate(value[:2]):
            yield from mutations(v, (*where, i))
    elif isinstance(value, bool):
        yield from ((where, v) for v in TRUTHS)
    elif isinstance(value, int):
        yield from ((where, v) for v in INTEGERS)
    elif isinstance(value, str):
        numeric = value.lstrip("-").replace("/", "").isdigit()
        yield from ((where, v) for v in (NUMBERS if numeric else TEXTS))
    else:
        yield from ((where, v) for v in (0, -1, 10**9, "1", [], ["1"]))


def put(body, where, value):
    out = copy.deepcopy(body)
    at = out
    for key in where[:-1]:
        at = at[key]
    at[where[-1]] = value
    return out


def forged(name):
    """(what was changed, body) of every forgery of one certificate."""
    body = body_of(name)
    for field, kind in FIELDS.items():
        if field == "digest":
            continue
        for value in (*TOP[field], *(v for v in WRONG_TYPES if type(v) is not kind)):
            if value != body[field]:
                yield f"{field} = {value!r:.40}", {**body, field: value}
        yield f"no {field}", {k: v for k, v in body.items() if k != field}
    yield "extra field", {**body, "proof": "trivial"}
    for where, value in mutations(body["instance"], ("instance",)):
        yield f"{where} = {value!r:.40}", put(body, where, value)


def rewritten(body):
    """The file as a careful forger writes it: the code to paste fits the instance; None where nothing can be read."""
    try:
        claim = claim_named(body["claim"])
        instance = claim.setting.from_json(body["instance"])
        work.bounded(instance)
        return {**body, "replay": replay(claim, instance, instance.to_json())}
    except (KeyError, TypeError, ValueError):
        return None


def written(body):
    return json.dumps({**body, "digest": digest(body)})


def signed(path, body):
    path.write_text(written(body))
    return path


def confirmed(body):
    """Whether a file is accepted without a word.

    If not, it is refused in one line, or its words for the claim are shown beside those of today. If so, it says what
    comes out of deciding it.
    """
    checked, message = None, ""
    try:
        checked = check_text(written(body))
    except ValueError as e:
        message = str(CertificateError("forged.json", str(e)))
    if checked is None:
        assert message
        assert "\n" not in message
        assert len(message) < 700
        return False
    claim, instance = claim_named(body["claim"]), checked.instance
    assert type(instance) is claim.setting
    assert bool(instance.valid())
    assert {a.name for a in claim.applies(instance)} == set(body["violates"]) == {a.name for a in checked.without}
    assert json.loads(json.dumps(instance.to_json())) == body["instance"]
    decision = decide(claim.check(instance))
    assert str(decision) == str(checked.decision)
    assert not checked.confirmed or sides(decision) == {k: body[k] for k in ("lhs", "rhs", "kind", "how")}
    assert checked.stated == ("" if body["statement"] == claim.title else body["statement"])
    if checked.stated:
        assert claim.id in str(checked)
        assert repr(claim.title) in str(checked)
        assert repr(body["statement"]) in str(checked)
    return checked.confirmed and not checked.stated


@pytest.mark.parametrize("name", NAMES)
def test_no_forgery_passes(name):
    """About 10,000 in all: every field, every leaf of the instance, each with fitting code and without."""
    original = body_of(name)
    for what, body in forged(name):
        assert not confirmed(body), what
        careful = rewritten(body) if isinstance(body.get("instance"), dict) and body.keys() == original.keys() else None
        if careful is not None and all(type(careful[k]) is t for k, t in FIELDS.items()):
            confirmed(careful)
            same = {k: careful[k] == original[k] for k in ("claim", "statement", "setting", "kind", "how")}
            if not all(same.values()):
                assert not confirmed(careful), what


TEXT = {
    "duplicate key": lambda t: t.replace('"seed": 0', '"seed": 0, "seed": 0', 1),
    "duplicate key inside": lambda t: t.replace('"keep": 2', '"keep": 1, "keep": 2', 1),
    "nested": lambda t: t.replace('"violates": []', '"violates": ' + "[" * 50_000 + "]" * 50_000, 1),
    "nested 900": lambda t: t.replace('"violates": []', '"violates": ' + "[" * 900 + "]" * 900, 1),
    "NaN": lambda t: t.replace('"keep": 2', '"keep": NaN', 1),
    "-Infinity": lambda t: t.replace('"keep": 2', '"keep": -Infinity', 1),
    "1e400": lambda t: t.replace('"keep": 2', '"keep": 1e400', 1),
    "5000 digits": lambda t: t.replace('"keep": 2', f'"keep": {HUGE}', 1),
    "too large": lambda t: t + " " * MAX_BYTES,
    "byte order mark": lambda t: "\ufeff" + t,
    "trailing": lambda t: t + "{}",
    "a list": lambda t: f"[{t}]",
    "empty": lambda t: "",
    "null": lambda t: "null",
    "zeros": lambda t: "\0" * 100,
    "comment": lambda t: "// trust me\n" + t,
}


@pytest.mark.parametrize("name", sorted(TEXT))
def test_files_that_are_no_json_of_ours(tmp_path, name):
    text = (FOLDER / "path-exclusion--no-collapse-literal.json").read_text()
    assert TEXT[name](text) != text
    path = tmp_path / "forged.json"
    path.write_text(TEXT[name](text))
    with pytest.raises(CertificateError) as caught:
        check(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path):
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xff"}')
    for path in (tmp_path, tmp_path / "missing", tmp_path / "latin.json", "/dev/zero"):
        with pytest.raises(CertificateError):
            check(path)


def instance_of(claim, seed=0):
    return draw(claim, StackChooser(np.random.default_rng(seed), None, 2))


def certified(claim, instance, **changes):
    """A certificate of anything, with everything that is generated as it should be."""
    body = {
        "format": "pruning-theorems certificate 1", "claim": claim.id, "statement": claim.title,
        "setting": claim.setting.__name__, "instance": instance, "violates": [], "lhs": "0", "rhs": "1", "kind": "==",
        "how": "rational", "seed": 0, "replay": "",
    }  # fmt: skip
    return {**body, **changes}


@pytest.mark.parametrize("claim", [c for c in claims() if c.status is Status.EMPIRICAL], ids=lambda c: c.id)
def test_no_made_up_outcome_refutes_an_empirical_claim(tmp_path, claim):
    path = signed(tmp_path / "c.json", certified(claim, {"outcomes": [["0", "1"]] * 100}))
    with pytest.raises(CertificateError, match="is about training: trials decide it"):
        check(path)


def network(**changes):
    net = {"units": ["input", "relu", "linear"], "edges": [[0, 1, 0, "1"], [1, 2, 1, "1"]], "outputs": [2],
           "layers": [[0], [1]], "slope": "1/4"}  # fmt: skip
    return {**net, **changes}


LADDER = network(
    units=["input", *["linear"] * 400],
    edges=[[u, v, None, "1"] for u in range(1, 399) for v in (u + 1, u + 2)] + [[0, 400, 0, "1"]],
    outputs=[400], layers=[[0]],
)  # fmt: skip
STRUCTURES = {
    "parameter index -1": (network(edges=[[0, 1, -1, "1"], [1, 2, 1, "1"]]), "edge parameter -1 is in no layer"),
    "parameter index 2": (network(edges=[[0, 1, 2, "1"], [1, 2, 1, "1"]]), "edge parameter 2 is in no layer"),
    "cycle": (network(edges=[[0, 1, 0, "1"], [2, 1, 1, "1"]]), "does not go forward"),
    "own successor": (network(edges=[[0, 1, 0, "1"], [1, 1, 1, "1"]]), "does not go forward"),
    "unit -1": (network(edges=[[-1, 1, 0, "1"], [1, 2, 1, "1"]]), "does not go forward"),
    "unit 3": (network(edges=[[0, 1, 0, "1"], [1, 3, 1, "1"]]), "does not go forward"),
    "edge into an input": (network(units=["input", "input", "linear"]), "ends in an input unit"),
    "output -1": (network(outputs=[-1]), "is not a unit"),
    "no output": (network(outputs=[]), "at least one output"),
    "unknown unit": (network(units=["input", "gelu", "linear"]), "unknown unit"),
    "empty layer": (network(layers=[[0], [], [1]]), "a layer without parameters"),
    "layer twice": (network(layers=[[0], [0, 1]]), "do not number the parameters"),
    "layer gap": (network(layers=[[0], [2]]), "do not number the parameters"),
    "short edge": (network(edges=[[0, 1, 0], [1, 2, 1, "1"]]), "expected 4 entries"),
    "factor": (network(edges=[[0, 1, 0, "1e9"], [1, 2, 1, "1"]]), "not a rational number"),
    "number as factor": (network(edges=[[0, 1, 0, 1], [1, 2, 1, "1"]]), "a text in quotes"),
    "slope": (network(slope="1/0"), "divides by 0"),
    "two inputs": (
        network(units=["input", "linear", "input"], edges=[[0, 1, 0, "1"], [0, 1, 1, "1"]], outputs=[1]),
        "x has shape",
    ),
    "no network": ([], "expected an object"),
}


@pytest.mark.parametrize("name", sorted(STRUCTURES))
@pytest.mark.parametrize("claim", ["path-exclusion/saliency-conservation", "path-exclusion/positive-literal"])
def test_what_is_no_network_is_refused(tmp_path, claim, name):
    net, message = STRUCTURES[name]
    instance = {"network": net, "theta": ["1", "1"], "x": [["1"]]}
    with pytest.raises(CertificateError, match=message):
        check(signed(tmp_path / "c.json", certified(claim_named(claim), instance)))


@pytest.mark.parametrize("x", [None, [], [[]], ["1"], "1", [["1", "1"]], [["1"], []], [[["1"]]]])
def test_inputs_fit_the_network(tmp_path, x):
    instance = {"network": network(), "theta": ["1", "1"], "x": x}
    with pytest.raises(CertificateError):
        check(signed(tmp_path / "c.json", certified(claim_named("path-exclusion/kernel-by-gradient"), instance)))


def descent(steps):
    return {"steps": steps, "larger": ["3"], "smaller": ["1"], "residual": ["1"], "eta": "1/7"}


def run(**changes):
    return {"network": network(), "theta": ["1", "1"], "x": [["1"]], "keep": 1, "rounds": 1, "scorer": "px",
            "schedule": "linear", "rule": "by-index", "scope": "global", "rescore": True, "scored": "all",
            **changes}  # fmt: skip


MUCH = {
    "steps": ("path-exclusion/larger-trace-trains-faster", descent(10**12)),
    "many steps": ("path-exclusion/larger-trace-trains-faster", descent(10**7)),
    "rounds": ("path-exclusion/no-collapse-literal", run(rounds=10**9)),
    "roots": ("path-exclusion/no-collapse-literal", run(rounds=10**5, schedule="exponential")),
    "depth": ("synaptic-flow/float32-range", {"depth": 10**9, "width": 1, "scale": "1"}),
    "width": ("synaptic-flow/float32-range", {"depth": 1, "width": 10**12, "scale": "1/1000000"}),
    "units": ("path-exclusion/beyond-piecewise-linear",
              {"widths": [1, 10**12, 1], "unit": "tanh", "theta": ["1"], "x": [["1"]]}),
    "draws": ("sketching/mask-keeps-s-weights",
              {"s": 10**12, "x": [["1"], ["1"]], "w": ["1", "1"], "q": ["1", "2"]}),
    "blocks": ("path-exclusion/released-score-with-batch-norm",
               {"channels": 1, "blocks": 10**9, "outputs": 1, "training": True, "activations": False, "pooled": True,
                "theta": ["1"], "x": [["1"]], "d": ["1"]}),
    "labelings": ("no-free-prune/information-is-enough", {"x": [["1", "2"]] * 60}),
    "labelings of a unit": ("no-free-prune/cover-count", {"bias": True, "x": [[str(i), "2"] for i in range(40)]}),
    "samples": ("no-free-prune/law-of-robustness-finite",
                {"samples": 10**9, "dimension": 5, "directions": 2, "epsilon": "1/2", "lipschitz": "1"}),
    "walks that start nowhere": ("path-exclusion/trace-bound", {"network": LADDER, "theta": ["1"], "x": [["1"]]}),
    "signs": ("sketching/synflow-l2-relu",
              {"network": network(units=["input", "linear"], edges=[[0, 1, i, "1"] for i in range(30)], outputs=[1],
                                  layers=[list(range(30))]),
               "theta": ["1"] * 30, "x": [["1"]], "signs": "independent"}),
    "denominators": ("sketching/one-over-s",
                     {"s": 2, "x": [[f"1/{10**350 + i}"] for i in range(1, 500)], "w": ["1"] * 499, "q": ["1"] * 499}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MUCH))
def test_too_much_work_is_refused_before_it_is_begun(tmp_path, name):
    claim, instance = MUCH[name]
    path = signed(tmp_path / "c.json", certified(claim_named(claim), instance))
    with pytest.raises(CertificateError, match=r"deciding this instance takes about \S+ operations"):
        check(path)


def test_a_dropped_assumption_is_said_to_be_dropped(capsys):
    assert main(["check", str(FOLDER / "path-exclusion--saliency--without-no-weight-twice.json")]) == 0
    out = capsys.readouterr().out
    assert "not a refutation of the claim: it shows that the claim is false without no-weight-twice" in out
    assert "refutes the claim" not in out


def test_exit_codes(capsys, tmp_path):
    good = str(FOLDER / "path-exclusion--no-collapse-literal.json")
    bad = signed(tmp_path / "bad.json", {**body_of("path-exclusion--kinks"), "kind": "?"})
    assert main(["check", str(bad), good]) == 2
    captured = capsys.readouterr()
    assert "this instance refutes the claim" in captured.out
    assert captured.err.count("\n") == 1


def test_every_setting_has_a_bound_of_its_work():
    """Of every claim that an instance can refute; and what is drawn is not too much."""
    for claim in claims():
        if claim.status is not Status.EMPIRICAL:
            work.bounded(instance_of(claim))


@pytest.mark.parametrize("claim", [c for c in claims() if c.status is not Status.EMPIRICAL], ids=lambda c: c.id)
def test_what_is_drawn_is_read_as_it_was_written(claim):
    instance = instance_of(claim, 3)
    again = claim.setting.from_json(json.loads(json.dumps(instance.to_json())))
    assert again.key() == instance.key()
    assert again.to_json() == instance.to_json()


def test_the_checker_needs_no_torch_and_little_memory(tmp_path):
    """In a process that may use 1 GiB of address space: the refusals above that would need more, and a real one."""
    files = [
        str(signed(tmp_path / f"{i}.json", certified(claim_named(c), v))) for i, (c, v) in enumerate(MUCH.values())
    ]
    files.append(str(FOLDER / "path-exclusion--no-collapse-literal.json"))
    code = (
        "import sys; from verify.app.cli import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )

    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))

    done = subprocess.run(
        [sys.executable, "-c", code, "check", *files], cwd=ROOT, capture_output=True, text=True, preexec_fn=limited,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == len(MUCH)
    assert "Traceback" not in done.stderr
    assert "this instance refutes the claim" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_real_certificates_are_accepted_and_their_code_runs(capsys, name):
    assert check(FOLDER / f"{name}.json").decision.verdict is Verdict.REFUTED
    exec(body_of(name)["replay"], {})
    assert capsys.readouterr().out.startswith("refuted")
