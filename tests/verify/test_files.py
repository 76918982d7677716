"""Files written whole or not at all."""

import os
import stat

import pytest

from verify.trials import files


def test_a_file_is_replaced_in_one_step_and_others_may_read_it(tmp_path):
    path = files.write(tmp_path / "a" / "b.txt", "one\n")
    before = os.umask(0o022)
    try:
        files.write(path, "two\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]
    assert files.write(path, b"\x00").read_bytes() == b"\x00"


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = files.write(tmp_path / "b.txt", "old")

    def half():
        with files.writing(path) as f:
            f.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = files.write(tmp_path / "b.txt", "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
