"""Weight files, and the shipped weights.

- `checkpoint`: reading and writing. `find`, `hub`: files, shipped names and repositories.
- `metadata_fields`, `model_from_metadata`: check untrusted metadata, and build the model that they describe.
- `training_history`, `scope_model`, `model_card`: training data, scope and card of weights.
- `official`, `pretrained`: checkpoints of the RAM-W600 authors, and pretrained encoders.
"""
