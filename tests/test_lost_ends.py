"""Long bones whose end an erosion has removed: they keep a joint box and a score, and the result says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jointwrist.anatomy import JOINTS, WRIST, bone_index
from jointwrist.config import build
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import as_right_hand
from jointwrist.inference.mask_cautions import with_lost_ends
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import WristResult
from jointwrist.ops.drawn_roi import drawn_regions, lost_end
from jointwrist.ops.roi import common_boxes, joint_regions
from jointwrist.phantom import PhantomConfig, make_wrist

ULNA = next(joint for joint in JOINTS if joint.bone == bone_index("DistalUlna"))


def masks_with_ulna_from(row: int) -> np.ndarray:
    """Masks (14, 100, 100) bool of a lunate down to row 30 and an ulna from `row` on."""
    masks = np.zeros((14, 100, 100), bool)
    masks[bone_index("Lunate"), 10:30, 40:60] = True
    masks[ULNA.bone, row:90, 42:58] = True
    return masks


def region_of_the_ulna(masks: np.ndarray) -> np.ndarray:
    return joint_regions(torch.from_numpy(masks)[None].float()).joint[0, ULNA.index].numpy()


def noted(result: WristResult) -> list[str]:
    """Joints whose end a result calls destroyed."""
    return [note.split(":")[0] for note in result.notes if "its end is destroyed" in note]


def test_an_end_near_its_joint_is_the_region():
    region = region_of_the_ulna(masks_with_ulna_from(34))
    assert region[34, 42:58].min() > 0.5 and region[41:].max() < 0.5  # within 7 pixels of the lunate, faint beyond
    assert not lost_end(masks_with_ulna_from(34), ULNA)


def test_what_remains_of_a_bone_is_the_region_where_its_end_is_gone():
    masks = masks_with_ulna_from(60)
    region = region_of_the_ulna(masks)
    assert region[60:66, 42:58].min() == 1 and region[69:].max() == 0
    boxes, valid = common_boxes(torch.from_numpy(masks)[None].float(), 100)
    x0, y0, x1, y1 = boxes[0, ULNA.index]
    assert valid[0, ULNA.index] and x0 < 42 and x1 > 58 and y0 < 60 < y1
    assert lost_end(masks, ULNA)


def test_without_its_neighbours_a_bone_has_no_region():
    masks = masks_with_ulna_from(60)
    masks[bone_index("Lunate")] = False
    assert region_of_the_ulna(masks).max() == 0 and not lost_end(masks, ULNA)


@pytest.mark.parametrize("row", [34, 60])
def test_drawn_masks_have_the_same_regions(row):
    masks = masks_with_ulna_from(row)
    np.testing.assert_allclose(drawn_regions(masks).joint[ULNA.index], region_of_the_ulna(masks), atol=1e-6)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_destroyed_ulna_is_scored_and_named(engine):
    if engine == "onnx":
        pytest.importorskip("onnxruntime")
    config = build(PhantomConfig, {"prevalence": 0.4, "size": 256, "families": {"collapse": 1.0}})
    destroyed = as_right_hand(make_wrist(20261129, 0, config))
    assert destroyed.scores[ULNA.index] == 4
    predictor = Predictor.from_pretrained("jointwrist_tiny", localise=False, engine=engine)
    result = predictor(destroyed.image[0], side="R").single()
    assert result.probabilities[ULNA.index] > 0.8 and result.eroded[ULNA.index]
    assert noted(result) == [ULNA.display] and "before you use the score" in " ".join(result.notes)
    intact = as_right_hand(make_wrist(20261129, 0, build(PhantomConfig, {"prevalence": 0.0, "size": 256})))
    assert noted(predictor(intact.image[0], side="R").single()) == []


def test_a_note_on_a_joint_without_a_score_mentions_none():
    placement = Placement(Radiograph(np.zeros((100, 100), np.float32)))
    masks = masks_with_ulna_from(60).repeat(2, 1).repeat(2, 2)
    for probability, end in ((0.9, "Look at the overlay before you use the score."), (np.nan, "Look at the overlay.")):
        (note,) = with_lost_ends(placement, masks, WRIST, np.full(6, probability)).radiograph.notes
        assert note.startswith(f"{ULNA.display}: ") and note.endswith(end)
