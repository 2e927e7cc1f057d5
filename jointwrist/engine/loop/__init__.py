"""Training and evaluation of a model, batch by batch.

- `build`: model, optimiser and metadata of a run.
- `trainer`: the training loop.
- `resume`: the saved state from which an interrupted training continues.
- `evaluation`: per-case results of a model.
- `calibration`: calibration of probabilities, and the choice of decision thresholds.
"""
