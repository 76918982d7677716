"""Checking certificates from strangers: read strictly, bounded in work, every statement in them made again.

The order matters. The file is small and of the right form; claim and instance exist and fit; deciding is little work;
the instance is valid; and only then anything is evaluated. What the file says of the instance and the decision is not
believed but computed again, and a difference is an error that names the field. The id says which claim is decided.
Titles of claims are edited: a file with other words for the claim is decided all the same, and told with both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theory import reading
from theory.claims import Assumption, Claim, Status, claim_named
from theory.relations import Decision, Verdict, decide
from verify.certificates import work
from verify.certificates.writing import FORMAT, digest, replay, sides

MAX_BYTES = 200_000
MAX_MESSAGE = 400
SHORT, LONG = 300, 100_000

FIELDS = {"format": str, "claim": str, "statement": str, "setting": str, "instance": dict, "violates": list,
          "lhs": str, "rhs": str, "kind": str, "how": str, "seed": int, "replay": str, "digest": str}  # fmt: skip
"""The fields of a certificate and their types."""
_LONG_FIELDS = ("lhs", "rhs", "replay")


class CertificateError(ValueError):
    """A certificate that cannot be believed; the message says why, in one line."""

    def __init__(self, path: str | Path, message: str) -> None:
        line = " ".join(message.split())
        super().__init__(f"{path}: {line if len(line) <= MAX_MESSAGE else line[:MAX_MESSAGE] + '...'}")


@dataclass(frozen=True)
class Checked:
    """A certificate that was read, and what came out of deciding it again.

    Attributes:
        claim: the claim.
        instance: the instance, valid, that breaks no assumption but those ``without``.
        decision: the exact decision on it.
        without: the assumptions of the claim that the instance breaks.
        stated: the claim in the words of the file, where they are not those of today; else empty.
    """

    claim: Claim
    instance: Any
    decision: Decision
    without: tuple[Assumption, ...] = ()
    stated: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether the instance refutes what the certificate says it refutes."""
        return self.decision.verdict is Verdict.REFUTED

    def __str__(self) -> str:
        """What is shown, as a sentence: a claim is refuted only by an instance that keeps all its assumptions."""
        return self._shown() + (f"; {self.note}" if self.stated else "")

    @property
    def note(self) -> str:
        """Both wordings of the claim, where the file has another than today's; else empty."""
        if not self.stated:
            return ""
        today = f"decided is {self.claim.id} as it reads today, {self.claim.title!r}"
        return f"{today}; the file states it as {self.stated!r}"

    def _shown(self) -> str:
        if not self.without:
            return f"this instance {'refutes' if self.confirmed else 'does not refute'} the claim"
        names = " and ".join(f"{a.name} ({a.sentence})" for a in self.without)
        if self.confirmed:
            return f"not a refutation of the claim: it shows that the claim is false without {names}"
        return f"this instance does not refute the claim without {names}"


def load(path: str | Path) -> dict[str, Any]:
    """Read a certificate and check its form and its digest.

    Raises:
        CertificateError: not readable, truncated, of the wrong form, or altered since it was written.
    """
    try:
        return _form(_text(Path(path)))
    except ValueError as e:
        raise CertificateError(path, str(e)) from None


def _form(text: str) -> dict[str, Any]:
    body = reading.parse(text)
    if type(body) is not dict or body.get("format") != FORMAT:
        raise ValueError(f"not a certificate (its format is not {FORMAT!r})")
    reading.fields(body, FIELDS, "the certificate")
    for name, kind in FIELDS.items():
        value = body[name]
        if type(value) is not kind:
            raise ValueError(f"field {name!r} is {type(value).__name__}, expected {kind.__name__}")
        if isinstance(value, str) and len(value) > (LONG if name in _LONG_FIELDS else SHORT):
            raise ValueError(f"field {name!r} has {len(value)} characters")
    # Only what can be read at a glance: no line breaks, and nothing that turns the direction of the text.
    if not body["statement"].strip() or not body["statement"].isprintable():
        raise ValueError(f"field 'statement' is no line of text: {reading.brief(body['statement'])}")
    if body["seed"] < 0:
        raise ValueError(f"field 'seed' is {body['seed']}; a seed is not negative")
    if digest(body) != body["digest"]:
        raise ValueError("the digest does not match: the file was altered after it was written")
    return body


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ValueError("not a file")
        with path.open("rb") as f:
            raw = f.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        return raw.decode()
    except OSError as e:
        raise ValueError(f"cannot be read ({e.strerror or e})") from None
    except UnicodeDecodeError as e:
        raise ValueError(f"not JSON, perhaps truncated ({e})") from None


def check(path: str | Path) -> Checked:
    """Decide a certificate again.

    Raises:
        CertificateError: the file is bad, says something that does not come out so, is about a claim that no
            instance refutes, or would take too much work.
    """
    try:
        return check_text(_text(Path(path)))
    except ValueError as e:
        raise CertificateError(path, str(e)) from None


def check_text(text: str) -> Checked:
    """`check` for the text of a file.

    Raises:
        ValueError: as `check`, but the message may be long.
    """
    body = _form(text)
    claim, instance = _read(body)
    work.bounded(instance)
    return _decided(claim, instance, body)


def _read(body: dict[str, Any]) -> tuple[Claim, Any]:
    """Claim and instance, of the right setting."""
    try:
        claim = claim_named(body["claim"])
    except KeyError as e:
        raise ValueError(e.args[0]) from None
    if claim.status is Status.EMPIRICAL:
        raise ValueError(f"{claim.id} is about training: trials decide it, and no instance refutes it")
    setting = claim.setting
    if body["setting"] != setting.__name__:
        raise ValueError(f"{claim.id} is about {setting.__name__}, not {reading.brief(body['setting'])}")
    return claim, setting.from_json(body["instance"])


def _decided(claim: Claim, instance: Any, body: dict[str, Any]) -> Checked:
    """The decision, and everything else that the certificate says, against what comes out."""
    try:
        if not bool(instance.valid()):
            raise ValueError(f"the numbers are not a valid {type(instance).__name__}")
        without = claim.applies(instance)
        decision = decide(claim.check(instance))
    except ValueError:
        raise
    except Exception as e:  # whatever a claim raises on numbers that nobody drew is a refusal of the file
        raise ValueError(f"the instance cannot be evaluated ({type(e).__name__}: {e})") from None
    _same_assumptions(claim, body["violates"], {a.name for a in without})
    made = {"replay": replay(claim, instance, instance.to_json())}
    if decision.verdict is Verdict.REFUTED:
        made |= sides(decision)
    for name, value in made.items():
        if body[name] != value:
            raise ValueError(f"{name!r} comes out as {_shown(value)}, the file says {_shown(body[name])}")
    return Checked(claim, instance, decision, without, "" if body["statement"] == claim.title else body["statement"])


def _same_assumptions(claim: Claim, named: list[Any], broken: set[str]) -> None:
    names = {a.name for a in claim.assumptions}
    for name in named:
        if type(name) is not str or name not in names:
            raise ValueError(f"'violates' names {reading.brief(name)}, which is no assumption of {claim.id}")
        if named.count(name) > 1:
            raise ValueError(f"'violates' names {name!r} twice")
        if name not in broken:
            raise ValueError(f"'violates' names the assumption {name!r}, which the instance does not break")
    if extra := sorted(broken - set(named)):
        raise ValueError(f"the instance breaks the assumption {extra[0]!r}, so it refutes nothing")


def _shown(value: str) -> str:
    return reading.brief(value, 120)


__all__ = ["FIELDS", "MAX_BYTES", "CertificateError", "Checked", "check", "check_text", "load"]
