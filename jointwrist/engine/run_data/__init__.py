"""The data of a run.

- `run_cases`, `patient_folds`: cases of each split, and folds by patient.
- `leaks`: patients in several splits, or in the training data of a network that is tested.
- `datasets`, `radiograph_pairs`: items and the order of their batches.
- `erosion_prior`, `training_record`: what is counted among them.
- `loaders`, `readable_items`: batches from several processes.
"""
