"""Certificates of proofs: checked without the prover, refused when tampered with; the command."""

import copy
import json

import pytest

from theory.claims import claim_named
from verify.app.cli import main
from verify.certificates import digest
from verify.proofs.certificate import certificate
from verify.proofs.checker import ProofError, check_proof
from verify.proofs.proving import prove

GOOD = ("path-exclusion/residual-decay", "sketching/mask-size", "no-free-prune/information-range",
        "synaptic-flow/why-absolute-values", "path-exclusion/trace-bound", "no-free-prune/cover-count")  # fmt: skip


def made(identity):
    return json.loads(json.dumps(certificate(claim_named(identity), prove(identity, shapes="small"))))


@pytest.mark.parametrize("identity", GOOD)
def test_a_proof_is_checked(identity):
    counts = check_proof(made(identity), points=20)
    assert min(counts["shapes"], counts["paths"], counts["points"]) > 0
    assert not counts["solver"]


def signed(body):
    return {**body, "digest": digest(body)}


def leaves(node):
    if "state" in node:
        yield node
    else:
        yield from leaves(node["then"])
        yield from leaves(node["else"])


def nodes(node):
    if "state" not in node:
        yield node
        yield from nodes(node["then"])
        yield from nodes(node["else"])


def test_an_altered_file_is_refused():
    body = made("path-exclusion/residual-decay")
    body["level"] = "large"
    with pytest.raises(ProofError, match="digest"):
        check_proof(body)


@pytest.mark.parametrize("how", ["coefficient", "polynomial", "side", "branch", "state", "sign", "claim"])
def test_a_tampered_proof_is_refused(how):
    body = made("path-exclusion/trace-bound")
    good = copy.deepcopy(body)
    done = False
    for shape in body["shapes"]:
        for leaf in leaves(shape["tree"]):
            for goal in leaf["goals"]:
                closed = goal["closed"]
                if how == "coefficient" and "terms" in closed:
                    closed["terms"][0]["coefficient"], done = "17/3", True
                elif how == "polynomial" and goal["polynomial"] != "0":
                    goal["polynomial"], done = "-" + goal["polynomial"], True
                elif how == "side" and closed["method"] != "constant":
                    goal["rhs"], done = ["5", "1"], True
                elif how == "sign" and closed["method"] == "signs":
                    closed["signs"] = [[f, e, [-1]] for f, e, _ in closed["signs"]]
                    done = True
            if how == "state":
                leaf["state"], leaf["goals"], done = "vacuous", [], True
        if how == "branch":
            for node in nodes(shape["tree"]):
                node["no"], done = node["yes"], True
    if how == "claim":
        body["claim"], done = "path-exclusion/objective-is-a-bound", True
    assert done, "nothing was tampered with"
    assert body != good
    with pytest.raises(ProofError):
        check_proof(signed(body), points=20)


def test_the_command(tmp_path, capsys):
    assert main(["prove", "path-exclusion/residual-decay*", "--shapes", "small", "--save", str(tmp_path)]) == 0
    assert "3 proved" in capsys.readouterr().out
    files = sorted(str(p) for p in tmp_path.glob("*.json"))
    assert len(files) == 3
    assert main(["prove", "--check", *files]) == 0
    (tmp_path / "bad.json").write_text("{")
    assert main(["prove", "--check", str(tmp_path / "bad.json")]) == 1


def test_mistakes_of_a_user_are_one_line(capsys):
    assert main(["prove"]) == 2
    assert main(["prove", "no-such-claim"]) == 2
    assert main(["prove", "path-exclusion/trace-bound", "--drop", "nothing"]) == 2
    assert all(line.startswith("python -m verify: ") for line in capsys.readouterr().err.strip().splitlines())


def test_the_same_answer_twice():
    one, two = (prove("sketching/one-over-s", shapes="small") for _ in range(2))
    assert [(s.name, s.paths, s.closed) for s in one.shapes] == [(s.name, s.paths, s.closed) for s in two.shapes]
