"""Training and evaluation.

- `train`, `finetune`, `pretrain`, `evaluate_weights`: the functions behind the commands.
- `score_external_masks`, `score_external_erosions`: predictions of other tools.
- `batch_schema`: the keys of a batch.
- `config`, `processes`, `run_data`: configuration, processes and data of a run.
- `tasks`, `loop`, `results`: losses of a task, training and evaluation, and what they measure.
- `convert_authors_checkpoint`: weight files from checkpoints of the RAM-W600 authors.
"""
