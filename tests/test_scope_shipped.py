"""What the shipped weights say of a cast and of metal, from the command line to the report, whichever engine runs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jointwrist.cli import main
from jointwrist.data.sample import as_right_hand
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.viewer.describe import describe_result

PLAIN = PhantomConfig(size=320, field_of_view=(100.0, 100.0), prevalence=0.0, variation=0.5)
#: Radiographs, and the findings that they show.
REASONS = {"plain": [], "cast": ["cast"], "plates": ["growth plate"], "metal": ["implant"]}


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    """A wrist, and the same wrist in a cast, with growth plates and with metal."""
    folder = tmp_path_factory.mktemp("radiographs")
    findings = {"plain": {}, "cast": {"casts": 1.0}, "plates": {"growth_plates": 1.0}, "metal": {"implants": 1.0}}
    for name, options in findings.items():
        wrist = as_right_hand(make_wrist(3, 1, replace(PLAIN, **options)))
        Image.fromarray(np.round(wrist.image[0] * 255).astype(np.uint8)).save(folder / f"{name}-R.png")
    return folder


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_what_lies_outside_the_scope_is_said_and_not_scored(radiographs, tmp_path, capsys, engine):
    if engine == "onnx":
        pytest.importorskip("onnxruntime")
    assert main(["predict", str(radiographs), "--engine", engine, "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    entries = {name: json.loads((tmp_path / f"{name}-R.json").read_text()) for name in REASONS}
    assert {name: entry["scope"]["findings"] for name, entry in entries.items()} == REASONS
    assert all(
        "probability" in joint and not joint["withheld"] for joint in entries["plain"]["joints"] if joint["found"]
    )
    for name, reason in ((name, *reasons) for name, reasons in REASONS.items() if reasons):
        limit = {"status": "outside the weights' scope", "reason": reason}
        assert all(joint["withheld"] and "probability" not in joint for joint in entries[name]["joints"])
        assert all(limit in part["scope"] for part in (*entries[name]["joints"], *entries[name]["bones"]))
        assert (
            f"{name}-R.png: 14 of 14 bones; outside the weights' scope ({reason}): all bones; scores withheld"
            in printed
        )


def test_masks_stay_and_scores_return_when_asked_for(radiographs, predictor):
    path = radiographs / "cast-R.png"
    result = predictor(path).single()
    predictor.score_out_of_scope = True
    try:
        asked = predictor(path).single()
    finally:
        predictor.score_out_of_scope = False
    np.testing.assert_array_equal(result.masks, asked.masks)
    assert not result.scored.any() and asked.scored.any() and result.found.all()
    assert "Outside the weights' scope (cast): all bones." in describe_result(result)["doubts"]
