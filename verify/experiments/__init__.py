"""The trial functions: each a function from parameters to results, made an `Experiment`."""
