"""Data sets: layouts, determinism, and files that are not what they should be."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from verify.trials import data

CIFAR = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10"


def parquet(folder, count=6, name="train.parquet", size=(32, 32)):
    rng = np.random.default_rng([1, 2])
    images = []
    for _ in range(count):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(buffer, "PNG")
        images.append({"bytes": buffer.getvalue(), "path": None})
    pq.write_table(pa.table({"img": images, "label": [i % 10 for i in range(count)]}), folder / name)
    return folder


def test_a_cifar_folder_is_read(tmp_path):
    d = data.load("cifar10", data_dir=parquet(tmp_path), samples=4)
    assert d.x.shape == (4, 3, 32, 32)
    assert d.y.shape == (4,)
    assert d.classes == 10
    assert 0 <= d.x.min() <= d.x.max() <= 1


@pytest.mark.skipif(not CIFAR.is_dir(), reason="the CIFAR-10 folder is not here")
def test_the_shared_cifar_folder_is_read():
    d = data.load("cifar10", data_dir=CIFAR, split="test", samples=50)
    assert d.x.shape == (50, 3, 32, 32)
    assert set(d.y) <= set(range(10))


def test_digits_are_the_same_for_the_same_seed():
    a, b = (data.load("digits", samples=20, seed=3) for _ in range(2))
    assert np.array_equal(a.x, b.x)
    assert not np.array_equal(a.x, data.load("digits", samples=20, seed=4).x)


def test_noisy_labels_change_exactly_the_share_asked_for():
    d = data.load("digits", samples=100)
    noisy, changed = data.noisy_labels(d, 0.25, seed=1)
    assert (noisy.y != d.y).sum() == 25
    assert np.array_equal(np.asarray(changed), noisy.y != d.y) or len(changed) == 25


def test_subsets_are_balanced():
    d = data.balanced(data.load("digits"), 50, seed=2)
    assert np.bincount(d.y, minlength=10).tolist() == [5] * 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "missing", "missing"),
        (lambda p: p, "parquet"),
        (lambda p: (p / "train.parquet").write_text("no") and p, "train.parquet"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, make, message):
    with pytest.raises(data.DataError, match=message):
        data.load("cifar10", data_dir=make(tmp_path))


def test_a_damaged_image_is_named(tmp_path):
    table = pa.table({"img": [{"bytes": b"not an image", "path": None}], "label": [0]})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(data.DataError, match=r"train\.parquet"):
        data.load("cifar10", data_dir=tmp_path)


def test_unknown_names_and_empty_sets():
    with pytest.raises(data.DataError, match="digits"):
        data.load("digit")
    with pytest.raises(ValueError, match="sample"):
        data.load("digits", samples=0)
