"""Data sets: built in (digits, Gaussian), or read from a folder of Parquet files in the Hugging Face layout.

Nothing is downloaded. Images come as float64 in [0, 1], shape (n, channels, height, width); every
sampling step takes a seed.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.names import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray


class DataError(ValueError):
    """A data set that is missing, damaged or of another form; the message says which file and why."""


@dataclass(frozen=True)
class Layout:
    """Column names and image shape of a data set as Parquet files."""

    image: tuple[str, ...]
    label: tuple[str, ...]
    shape: tuple[int, int, int]
    classes: int
    test: tuple[str, ...] = ("test",)


PARQUET = {
    "cifar10": Layout(("img", "image"), ("label",), (3, 32, 32), 10),
    "cifar100": Layout(("img", "image"), ("fine_label", "label"), (3, 32, 32), 100),
    "fashion-mnist": Layout(("image", "img"), ("label",), (1, 28, 28), 10),
    "tiny-imagenet": Layout(("image", "img"), ("label",), (3, 64, 64), 200, ("valid", "validation", "test")),
}
BUILT_IN = ("digits", "gaussian")
NAMES = (*BUILT_IN, *PARQUET)


@dataclass(frozen=True)
class Dataset:
    """Samples and their classes.

    Attributes:
        name: which data, which part of it, and what was done to it.
        x: (n, ...) float64.
        y: (n,) int64 in 0..classes-1.
        classes: how many classes.
    """

    name: str
    x: Array
    y: Array
    classes: int

    def __len__(self) -> int:
        return len(self.x)

    def tensors(self, like: Dataset | None = None) -> tuple[Tensor, Tensor]:
        """Inputs in float32 and classes, for torch: (n, ...) and (n,).

        Args:
            like: inputs are shifted and scaled so that each channel of this data set has mean 0 and deviation 1;
                None: of this one. Give the training data for what is tested.
        """
        import torch

        of = self if like is None else like
        axes = (0, *range(2, of.x.ndim))
        mean, deviation = of.x.mean(axes, keepdims=True), of.x.std(axes, keepdims=True)
        x = (self.x - mean) / np.where(deviation > 0, deviation, 1.0)
        return torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(self.y)


def load(
    name: str, *, data_dir: str | Path | None = None, split: str = "train", samples: int | None = None, seed: int = 0
) -> Dataset:
    """The data set called ``name``.

    Args:
        name: one of `NAMES`.
        data_dir: folder of the Parquet files, or of a folder ``name`` that holds them; without it, see `folder`.
        split: "train" or "test".
        samples: how many to take, the same number of each class as far as possible; None for all.
        seed: which samples those are; for "gaussian" also the data.

    Raises:
        DataError: no such data set, folder or file, or one that cannot be read.
        ValueError: a split or number of samples that makes no sense.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split is 'train' or 'test', not {split!r}")
    if samples is not None and samples < 1:
        raise ValueError(f"at least one sample is needed; got {samples}")
    if name == "digits":
        return _digits(split, samples, seed)
    if name == "gaussian":
        return gaussian(samples or 1000, seed=seed)
    if name not in PARQUET:
        raise DataError(f"no data set is called {name!r}; {did_you_mean(name, NAMES)} known: {', '.join(NAMES)}")
    return _parquet(name, PARQUET[name], Path(data_dir or folder(name)), split, samples, seed)


def folder(name: str) -> Path:
    """Where a data set of Parquet files lies when nobody says: ``$PRUNING_THEOREMS_DATA`` or beside the checkout.

    Raises:
        DataError: in neither place.
    """
    places = [Path(p) for p in [os.environ.get("PRUNING_THEOREMS_DATA", "")] if p]
    places.append(Path(__file__).resolve().parents[3] / "shared" / "data")
    for place in places:
        if any((place / name).glob("**/*.parquet")):
            return place / name
    raise DataError(
        f"{name} is not in {' or '.join(str(p / name) for p in places)}; "
        f"set PRUNING_THEOREMS_DATA to the folder that holds {name}/"
    )


def available(name: str) -> bool:
    """Whether `folder` finds a data set."""
    try:
        folder(name)
    except DataError:
        return False
    return True


def _digits(split: str, samples: int | None, seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x, y = bunch.images[:, None] / 16.0, bunch.target.astype(np.int64)
    # The file's order, so that train and test have different writers.
    x, y = (x[:1200], y[:1200]) if split == "train" else (x[1200:], y[1200:])
    every = Dataset(f"digits, {split}", np.ascontiguousarray(x), y, 10)
    return every if samples is None else balanced(every, samples, seed=seed)


def gaussian(samples: int, *, features: int = 64, classes: int = 2, seed: int = 0) -> Dataset:
    """Standard normal inputs (n, features) with uniform random labels that have nothing to do with them.

    Raises:
        ValueError: fewer than one sample or feature, or than two classes.
    """
    if samples < 1 or features < 1 or classes < 2:
        raise ValueError(f"at least one sample, one feature and two classes; got {samples}, {features} and {classes}")
    rng = np.random.default_rng([seed, 11])
    x = rng.standard_normal((samples, features))
    return Dataset("gaussian, random labels", x, rng.integers(0, classes, samples), classes)


def balanced_indices(y: Array, samples: int, *, seed: int = 0) -> Array:
    """Indices of ``samples`` samples, class counts differing by at most one where the classes are large enough.

    Raises:
        ValueError: fewer than one sample, or more than there are.
    """
    if not 1 <= samples <= len(y):
        raise ValueError(f"between 1 and {len(y)} samples can be taken; got {samples}")
    rng = np.random.default_rng([seed, 12])
    order = rng.permutation(len(y))
    turn = np.empty(len(y), dtype=int)
    for c in np.unique(y):
        members = order[y[order] == c]
        turn[members] = np.arange(len(members))
    # The first of every class, then the second of every class, ...; classes in an order of chance.
    rank = rng.permutation(int(y.max()) + 1)
    return np.sort(order[np.lexsort((rank[y[order]], turn[order]))][:samples])


def balanced(data: Dataset, samples: int, *, seed: int = 0) -> Dataset:
    """A class-balanced subset; see `balanced_indices`."""
    chosen = balanced_indices(data.y, samples, seed=seed)
    return replace(data, x=data.x[chosen], y=data.y[chosen])


def noisy_labels(data: Dataset, share: float, *, seed: int = 0) -> tuple[Dataset, Array]:
    """Replace the labels of exactly round(share * n) samples by other classes, uniformly.

    Returns:
        The data with noisy labels, and a bool array (n,) that marks the changed ones.

    Raises:
        ValueError: a share outside [0, 1], or fewer than two classes.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of noisy labels is between 0 and 1; got {share}")
    if data.classes < 2:
        raise ValueError("labels can only be changed where there are at least two classes")
    rng = np.random.default_rng([seed, 13])
    changed = np.zeros(len(data), dtype=bool)
    changed[rng.permutation(len(data))[: round(share * len(data))]] = True
    shift = rng.integers(1, data.classes, len(data))
    y = np.where(changed, (data.y + shift) % data.classes, data.y)
    return replace(data, name=f"{data.name}, {100 * share:g} % label noise", y=y), changed


# -- Parquet ----------------------------------------------------------------------------------------


def files(name: str, folder: Path, split: str) -> list[Path]:
    """The Parquet files of one split, in order.

    Raises:
        DataError: no folder, or no such file in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    words = ("train",) if split == "train" else PARQUET[name].test
    places = [folder, folder / "data", folder / "plain_text", folder / "fashion_mnist"]
    inner = folder / name
    if inner.is_dir():
        places = [inner, inner / "data", inner / "plain_text", inner / "fashion_mnist", *places]
    for word in words:
        for place in places:
            found = sorted([*place.glob(f"{word}.parquet"), *place.glob(f"{word}-*.parquet")])
            if found:
                return found
    raise DataError(f"{folder}: no {words[0]}.parquet or {words[0]}-*.parquet in it")


def _parquet(name: str, layout: Layout, folder: Path, split: str, samples: int | None, seed: int) -> Dataset:
    import pyarrow as pa

    paths = files(name, folder, split)
    label = _column(paths[0], layout.label)
    labels = [_labels(p, label, layout.classes) for p in paths]
    y = np.concatenate(labels)
    if not len(y):
        raise DataError(f"{paths[0]}: it holds no rows")
    if samples is not None and samples > len(y):
        raise DataError(f"{folder}: {samples} samples asked for, {split} has {len(y)}")
    chosen = np.arange(len(y)) if samples is None else balanced_indices(y, samples, seed=seed)
    image = _column(paths[0], layout.image)
    images, start = [], 0
    for path, own in zip(paths, labels, strict=True):
        rows = chosen[(chosen >= start) & (chosen < start + len(own))] - start
        start += len(own)
        if len(rows):
            column = _read(path, image).take(pa.array(rows))
            images += [
                _decode(path, int(r), cell, layout.shape) for r, cell in zip(rows, column.to_pylist(), strict=True)
            ]
    return Dataset(f"{name}, {split}", np.stack(images), y[chosen], layout.classes)


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowException) as e:
        raise DataError(f"{path}: not a Parquet file, or damaged ({_first_line(e)})") from None
    except OSError as e:
        raise DataError(f"{path}: cannot be read ({e.strerror or _first_line(e)})") from None


def _column(path: Path, names: tuple[str, ...]) -> str:
    known = [f.name for f in _open(path).schema_arrow]
    for name in names:
        if name in known:
            return name
    raise DataError(f"{path}: no column {' or '.join(map(repr, names))}; it has {', '.join(known)}")


def _read(path: Path, column: str) -> Any:
    import pyarrow as pa

    try:
        return _open(path).read(columns=[column]).column(column)
    except (pa.ArrowException, OSError) as e:
        raise DataError(f"{path}: damaged in column {column!r} ({_first_line(e)})") from None


def _labels(path: Path, column: str, classes: int) -> Array:
    values = _read(path, column).to_numpy()
    if values.dtype.kind not in "iu":
        raise DataError(f"{path}: column {column!r} holds {values.dtype}, not integers")
    if len(values) and (values.min() < 0 or values.max() >= classes):
        raise DataError(f"{path}: labels run from {values.min()} to {values.max()}, expected 0 to {classes - 1}")
    return values.astype(np.int64)


def _decode(path: Path, row: int, cell: Any, shape: tuple[int, int, int]) -> Array:
    from PIL import Image, UnidentifiedImageError

    raw = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(raw, bytes):
        raise DataError(f"{path}: row {row} holds no image bytes but {type(raw).__name__}")
    try:
        image = Image.open(io.BytesIO(raw)).convert("L" if shape[0] == 1 else "RGB")
    except (UnidentifiedImageError, OSError, ValueError) as e:
        raise DataError(f"{path}: the image in row {row} is damaged ({_first_line(e)})") from None
    pixels = np.asarray(image, dtype=np.float64) / 255.0
    pixels = pixels[None] if shape[0] == 1 else np.moveaxis(pixels, -1, 0)
    if pixels.shape != shape:
        raise DataError(f"{path}: the image in row {row} has shape {pixels.shape}, expected {shape}")
    return pixels


def _first_line(e: BaseException) -> str:
    return (str(e).strip().splitlines() or [type(e).__name__])[0]


__all__ = [
    "BUILT_IN",
    "NAMES",
    "PARQUET",
    "DataError",
    "Dataset",
    "available",
    "balanced",
    "balanced_indices",
    "folder",
    "gaussian",
    "load",
    "noisy_labels",
]
