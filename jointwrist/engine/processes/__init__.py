"""The processes of a training, and the signals that end it.

- `session`: accelerator and experiment trackers.
- `distributed`: exchange between processes that train together.
- `stop`: SIGTERM and SIGINT.
"""
