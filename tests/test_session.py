"""Trackers: the figures of every epoch reach TensorBoard; an unknown or missing tracker is named."""

from __future__ import annotations

import pytest

from jointwrist.config import ConfigError, build
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.processes.session import open_accelerator, tracked

CONFIG = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint"})


def test_tensorboard_holds_what_was_logged(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accelerator = open_accelerator(tracker="tensorboard", folder=tmp_path)
    for run, value in (("first", 0.5), ("second", 0.25)):
        with tracked(accelerator, run, CONFIG) as log:
            log({"epoch": 3, "val_loss": value, "note": "left out"})
        events = EventAccumulator(str(tmp_path / run)).Reload()
        scalars = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"] if tag == "val_loss"}
        assert [(s.step, s.value) for s in scalars["val_loss"]] == [(3, value)]


def test_without_tracker_nothing_is_logged(tmp_path):
    with tracked(open_accelerator(folder=tmp_path), "run", CONFIG) as log:
        assert log is None
    assert not list(tmp_path.iterdir())


def test_unknown_and_missing_trackers_are_named():
    with pytest.raises(ConfigError, match="choose one of"):
        open_accelerator(tracker="notebook")
    with pytest.raises(ConfigError, match="install the package"):
        open_accelerator(tracker="dvclive")
