"""Certificates after a change of titles."""

import json
import shutil

from verify import certificates
from verify.studies import retitled

NAME = "path-exclusion--stays-alive-literal.json"


def test_only_title_and_digest_change_and_what_was_altered_is_left(tmp_path):
    shutil.copy(retitled.FOLDER / NAME, tmp_path)
    path = tmp_path / NAME
    good = json.loads(path.read_text())
    assert retitled.retitle(tmp_path) == []
    certificates.save({**good, "statement": "An older title.", "digest": ""}, path)
    assert retitled.retitle(tmp_path) == []
    old = {**good, "statement": "An older title."}
    certificates.save({**old, "digest": certificates.digest(old)}, path)
    assert retitled.retitle(tmp_path) == [path]
    assert json.loads(path.read_text()) == good
    assert certificates.check(path).confirmed


def test_every_recorded_certificate_has_the_title_of_its_claim(tmp_path):
    shutil.copytree(retitled.FOLDER, tmp_path / "all")
    assert [p.name for p in retitled.retitle(tmp_path / "all")] == []
