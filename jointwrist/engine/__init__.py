"""Training and evaluation: configuration of a run, tasks, trainer, per-case results."""
