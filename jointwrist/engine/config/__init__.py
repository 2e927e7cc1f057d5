"""Configuration of a run.

- `run_config`, `joint_config`, `radiographs_config`: its keys, their ranges and defaults.
- `renamed_keys`: former keys.
- `inherited_config`: what a further training takes over from a weight file.
"""
