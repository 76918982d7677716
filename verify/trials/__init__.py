"""Trials: experiments with their parameters and seed, stored once finished, and sweeps of them.

from verify import trials
from verify.experiments import capacity

store = trials.Store("trials")
done = trials.run([capacity.same_law.configuration(method="imp", seed=s) for s in range(8)], store)
rows = trials.table(done)
"""

from verify.trials.store import (
    Configuration,
    Experiment,
    Failure,
    Store,
    Trial,
    experiment,
    experiment_of,
    frame,
    identity,
    one_code,
    provenance,
    table,
)
from verify.trials.sweep import Progress, TrialsFailed, parse_shard, perform, run
from verify.trials.tables import markdown, read_csv, write_csv

__all__ = [
    "Configuration", "Experiment", "Failure", "Progress", "Store", "Trial", "TrialsFailed", "experiment",
    "experiment_of", "frame", "identity", "markdown", "one_code", "parse_shard", "perform", "provenance", "read_csv",
    "run", "table", "write_csv",
]  # fmt: skip
