"""The command line: what it prints, exit codes, and one line for every mistake of a user."""

import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from theory.claims import claim_named, claims
from verify.app.arguments import COMMANDS, EVERYTHING, parser
from verify.app.cli import main
from verify.certificates import digest, replay
from verify.search.loop import falsify

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def certificate():
    return falsify("path-exclusion/stays-alive-literal", examples=100).certificate


def fails(capsys, *arguments):
    """Exit code 2 and one line on standard error, which is returned."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err + captured.out
    return captured.err


def written(tmp_path, body, *, sign=True):
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps({**body, "digest": digest(body)} if sign else body))
    return str(path)


def test_list_shows_every_claim(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for claim in claims():
        assert f"{claim.id} " in out
    assert f"{len(claims())} claims" in out


def test_list_needs_neither_torch_nor_hypothesis():
    code = (
        "import sys; from verify.app.cli import main; main(['list']); "
        "print(sorted({'torch', 'hypothesis', 'rich', 'matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert out.strip().splitlines()[-1] == "[]"


def test_ablating_a_claim_without_assumptions_says_so(capsys):
    assert main(["ablate", "sketching/mask-size"]) == 0
    assert "sketching/mask-size is proved without assumptions: nothing to drop" in capsys.readouterr().out
    assert main(["ablate", "path-exclusion/kinks"]) == 0
    assert "path-exclusion/kinks is refuted: only hypotheses of proved claims are dropped" in capsys.readouterr().out


def test_a_folder_of_data_that_does_not_exist_is_an_error_even_where_it_is_not_used(capsys):
    for words in (["run", "sketching/mask-size"], ["falsify", "--on", "zoo:mlp"], []):
        assert "no such folder: /no/such/folder" in fails(capsys, *words, "--data-dir", "/no/such/folder")


@pytest.mark.parametrize("words", [["findings"], ["bench", "start"], ["docs"]])
def test_commands_about_the_repository_say_that_they_need_a_checkout(capsys, monkeypatch, words):
    monkeypatch.setitem(sys.modules, "verify.studies", None)
    monkeypatch.setitem(sys.modules, "verify.bench", None)
    assert "needs a checkout of the repository" in fails(capsys, *words)


def test_show_says_what_is_assumed(capsys):
    assert main(["show", "path-exclusion/kernel-by-gradient"]) == 0
    out = capsys.readouterr().out
    assert "assumes no-weight-twice" in out
    assert "proved" in out


def test_run_refutes_saves_and_check_decides_again_without_torch(capsys, tmp_path):
    arguments = ["run", "sketching/mask-keeps-s-weights", "--budget", "quick", "--save", str(tmp_path), "--seed", "4"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "false as stated" in captured.out
    assert "--seed 4" in captured.out
    path = tmp_path / "sketching--mask-keeps-s-weights.json"
    code = (
        "import sys; from verify.app.cli import main; code = main(['check', sys.argv[1]]); "
        "print('torch' in sys.modules, code)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip().splitlines()[-1] == "False 0"
    assert "refuted" in done.stdout


def test_json_is_json(capsys):
    assert main(["run", "sketching/mask-size", "--budget", "quick", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["claim"] == "sketching/mask-size"
    assert row["verdict"] == "survived"
    assert row["how"] == "rational"


def test_dropping_an_assumption_on_the_command_line(capsys):
    arguments = ["run", "path-exclusion/kernel-by-gradient", "--drop", "no-weight-twice", "--budget", "quick"]
    assert main(arguments) == 0
    assert ", which is false (rational)" in capsys.readouterr().out


def test_ablate_and_sharpness(capsys):
    assert main(["ablate", "path-exclusion/residual-decay", "--budget", "quick", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["is"] == "needed"
    assert main(["sharpness", "path-exclusion/trace-bound", "--budget", "quick", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["error seen"] <= 0.001


def test_mistakes_with_claims(capsys):
    assert "did you mean path-exclusion/trace-bound" in fails(capsys, "run", "path-exclusion/trace-bond")
    assert "no claim matches 'nothing/*'" in fails(capsys, "list", "nothing/*")
    assert "has no assumption 'nonsense'" in fails(capsys, "run", "path-exclusion/saliency", "--drop", "nonsense")
    assert "name claims, or --all" in fails(capsys, "ablate")


def test_mistakes_with_data(capsys, tmp_path):
    assert "no such folder" in fails(capsys, "--data-dir", str(tmp_path / "missing")).lower()
    (tmp_path / "train.parquet").write_text("this is not Parquet")
    assert "train.parquet" in fails(capsys, "--data-dir", str(tmp_path))


def test_mistakes_with_models(capsys, tmp_path):
    file = tmp_path / "models.py"
    file.write_text("def broken():\n    raise RuntimeError('no weights')\n\ndef text():\n    return 'x'\n")
    assert "no weights" in fails(capsys, "falsify", "--on", f"{file}:broken")
    assert "torch.nn.Module" in fails(capsys, "falsify", "--on", f"{file}:text")
    assert "at least one sample" in fails(capsys, "falsify", "--on", "zoo:mlp", "--samples", "0")
    assert "resnet20" in fails(capsys, "falsify", "--on", "zoo:resnet21")


def test_mistakes_with_inputs(capsys, tmp_path):
    file = tmp_path / "nets.py"
    file.write_text(
        "import torch\n"
        "def with_inputs(x):\n    return torch.nn.Linear(3, 2), x\n"
        "def nan():\n    return with_inputs(torch.tensor([[1.0, float('nan'), 0.0]]))\n"
        "def none():\n    return with_inputs(torch.zeros(0, 3))\n"
        "def wide():\n    return with_inputs(torch.zeros(2, 5))\n"
    )
    assert "NaN" in fails(capsys, "falsify", "--on", f"{file}:nan")
    assert "at least one sample" in fails(capsys, "falsify", "--on", f"{file}:none")
    assert "(2, 5)" in fails(capsys, "falsify", "--on", f"{file}:wide")
    assert "device" in fails(capsys, "run", "path-exclusion/trace-bound", "--on", "relu", "--device", "nothing")
    assert "known: linear" in fails(capsys, "run", "path-exclusion/trace-bound", "--on", "nothing")


def test_options_count_before_and_after_the_command():
    options = [
        parser().parse_args(words.split())
        for words in ("--budget quick --seed 3 run a --on relu", "run a --budget quick --seed 3 --on relu")
    ]
    assert vars(options[0]) == vars(options[1])
    assert (options[0].budget, options[0].seed, options[0].workers) == ("quick", 3, 2)


def test_mistakes_with_certificates(capsys, tmp_path, certificate):
    body = {k: v for k, v in certificate.items() if k != "digest"}
    assert main(["check", written(tmp_path, body)]) == 0
    capsys.readouterr()
    assert "cannot be read" in fails(capsys, "check", str(tmp_path / "missing.json"))
    path = tmp_path / "truncated.json"
    path.write_text(json.dumps(certificate)[:-40])
    assert "truncated" in fails(capsys, "check", str(path))
    tampered = {**certificate, "lhs": "7"}
    assert "altered" in fails(capsys, "check", written(tmp_path, tampered, sign=False))
    assert "is missing" in fails(capsys, "check", written(tmp_path, {k: v for k, v in body.items() if k != "kind"}))
    assert "expected dict" in fails(capsys, "check", written(tmp_path, {**body, "instance": []}))
    assert "no claim is called" in fails(capsys, "check", written(tmp_path, {**body, "claim": "path-exclusion/none"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": ["1", "nan", "1"]}, "not a rational number"),
        ({"theta": [1.5, "1", "1"]}, "exact fractions"),
        ({"theta": ["1"]}, "parameters"),
        ({"x": [["1"]]}, "x has shape"),
        ({"x": []}, ""),
        ({"keep": "two"}, ""),
        ({"extra": 1}, "has no field"),
    ],
)
def test_instances_that_do_not_fit(capsys, tmp_path, certificate, change, message):
    body = {k: v for k, v in certificate.items() if k != "digest"}
    body["instance"] = {**body["instance"], **change}
    assert message in fails(capsys, "check", written(tmp_path, body))


def test_a_true_instance_refutes_nothing(capsys, tmp_path, certificate):
    body = {k: v for k, v in certificate.items() if k != "digest"}
    body["instance"] = {**body["instance"], "theta": ["1", "2", "1"], "x": [["1", "1"]]}
    claim = claim_named(body["claim"])
    instance = claim.setting.from_json(body["instance"])
    body["replay"] = replay(claim, instance, instance.to_json())
    assert main(["check", written(tmp_path, body)]) == 1
    assert "does not refute" in capsys.readouterr().out


def test_the_main_job_writes_a_report(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["--claims", "synaptic-flow/*", "--no-models", "--budget", "quick"]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= 100
    page = (tmp_path / "reports" / "report.html").read_text()
    assert "<math" in page
    assert "<svg" in page
    assert "data:application/json;base64," in page
    assert "http" not in page.replace("http://www.w3.org", "")
    rows = json.loads((tmp_path / "reports" / "report.json").read_text())
    assert {r["claim"] for r in rows} == {c.id for c in claims() if c.id.startswith("synaptic-flow/")}


def test_details_have_a_margin_and_say_what_it_is(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--claims", "sketching/mask-size", "--no-models", "--budget", "quick", "--workers", "1"]
    assert main(words) == 0
    assert "margin" not in capsys.readouterr().out
    assert main([*words, "--details"]) == 0
    out = capsys.readouterr().out
    assert "margin: least (right - left)" in out
    assert out.split("mask-size")[1].split()[:4] == ["true", "drawn", "survived", "exact"]


def test_a_verdict_that_contradicts_the_status_is_loud(capsys, monkeypatch, tmp_path):
    from dataclasses import replace

    from theory import claims as module
    from theory.claims import Status, claim_named

    monkeypatch.chdir(tmp_path)
    wrong = replace(claim_named("sketching/mask-keeps-s-weights"), status=Status.PROVED)
    monkeypatch.setitem(module._REGISTRY if hasattr(module, "_REGISTRY") else sys.modules["theory.claims"]._REGISTRY,
                        wrong.id, wrong)  # fmt: skip
    arguments = ["--claims", wrong.id, "--no-models", "--budget", "quick", "--workers", "1"]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "!!" in out
    assert "reproduce: python -m verify run" in out


def every_command(command=EVERYTHING, words=()):
    yield words, command
    for one in command.commands:
        yield from every_command(one, (*words, one.name))


@pytest.mark.parametrize(
    ("words", "command"), [*every_command()], ids=lambda v: " ".join(v) if type(v) is tuple else ""
)
def test_every_command_has_examples_that_parse_and_a_function_that_is_there(words, command, capsys):
    assert command.examples
    for line, what in command.examples:
        typed = shlex.split(line)
        assert tuple(typed[: len(words)]) == words
        assert what
        if not command.commands or command is EVERYTHING:
            assert parser().parse_args(typed).run == command.run
    if command.run:
        module, _, function = command.run.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert end.value.code == 0
    assert f"python -m verify {command.examples[0][0]}".rstrip() in capsys.readouterr().out


def test_the_list_of_benchmarks_is_complete():
    (names,) = [
        a.settings["choices"] for c in COMMANDS if c.name == "bench" for a in c.arguments if "choices" in a.settings
    ]
    folder = ROOT / "verify" / "bench"
    assert sorted(names) == sorted(p.stem for p in folder.glob("*.py") if "\ndef run(" in p.read_text())
