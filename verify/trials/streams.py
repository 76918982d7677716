"""Independent streams of random numbers: one generator a purpose and seed.

A mask drawn from the generator that made the weights is not independent of them: normal numbers are made from the
same uniform ones. So whatever is drawn beside initial weights (masks, data, order, fresh weights) is drawn from the
stream of its own purpose.
"""

from __future__ import annotations

import hashlib

import torch


def stream(purpose: str, seed: int) -> torch.Generator:
    """The generator for ``purpose`` ("mask", "data", ...) and ``seed``; the same numbers on every call."""
    return torch.Generator().manual_seed(stream_seed(purpose, seed))


def stream_seed(purpose: str, seed: int) -> int:
    """A seed of 63 bits that belongs to ``purpose`` and ``seed``, for what takes a seed rather than a generator."""
    digest = hashlib.blake2b(f"{purpose} {int(seed)}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


__all__ = ["stream", "stream_seed"]
