"""Training and evaluation.

- `train`, `finetune`, `pretrain`, `evaluate_weights`: the functions behind the commands.
- `run_config`, `joint_config`, `radiographs_config`: configuration of a run; `renamed_keys`: its former keys.
- `run_cases`, `loaders`, `batch_schema`: cases of a run, their batches, and the keys of a batch.
- `tasks`, `trainer`, `step_context`: losses and results of a task; the training loop.
- `resume`: the saved state from which an interrupted training continues. `stop`: signals.
- `evaluation`, `case_results`, `calibration`: per-case results, and the choice of decision thresholds.
- `leaks`, `patient_folds`: patients in several splits, and folds by patient.
- `score_external_masks`, `score_external_erosions`: predictions of other tools.
"""
