"""One thread a process: the tests run on two. `pytest -m theorem` imports only the files that have such tests."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_ignore_collect(collection_path, config):
    """Leave out files without the mark when exactly it is asked for: importing them would import torch.

    Nothing is lost: the mark stands in a file's text or none of its tests has it. Files named on the command
    line are collected in any case.
    """
    if config.option.markexpr.strip() != "theorem" or collection_path.suffix != ".py":
        return None
    return True if "mark.theorem" not in collection_path.read_text(encoding="utf-8") else None
