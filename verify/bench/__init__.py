"""Benchmarks: ratios against a peer or a floor, measured side by side in one run.

Each module has ``run() -> list of rows`` (dicts with the same keys); `python -m verify bench NAME`
prints and saves them.
"""
