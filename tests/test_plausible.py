"""What `data check` remarks on in masks: phantoms have none of it, phantoms made wrong have it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from annotation_files import plain_run_lengths, small_coco

from jointwrist.anatomy import BONE_NAMES, OVERLAP_PAIRS, bone_index
from jointwrist.cli import main
from jointwrist.data.dataset.mask_plausibility import oddities
from jointwrist.data.sample import unpack_masks
from jointwrist.phantom import PhantomConfig, make_wrist


@pytest.fixture(scope="module")
def wrists() -> list[np.ndarray]:
    return [unpack_masks(make_wrist(3, index, PhantomConfig(size=128)).bones) for index in range(4)]


def found(masks: np.ndarray) -> list[tuple[str, str]]:
    bits = np.zeros(masks.shape[1:], np.uint16)
    for bone, mask in enumerate(masks):
        bits |= mask.astype(np.uint16) << np.uint16(bone)
    return list(oddities(bits))


def test_sound_masks_are_not_remarked_on(wrists):
    for masks in wrists:
        assert found(masks) == []
        for bones in ([], [6], [1, 2], [4, 6], [0, 11, 12]):  # some bones alone
            some = np.zeros_like(masks)
            some[bones] = masks[bones]
            assert found(some) == []


@pytest.mark.parametrize("order", ["first on top", "last on top"])
def test_layers_that_were_flattened_are_noticed(order, wrists):
    for masks in wrists:
        flat, taken = masks.copy(), np.zeros(masks.shape[1:], bool)
        for bone in range(14) if order == "first on top" else range(13, -1, -1):
            flat[bone] &= ~taken
            taken |= masks[bone]
        assert "no overlap" in {kind for kind, _ in found(flat)}
        assert not any((flat[a] & flat[b]).any() for a, b in OVERLAP_PAIRS)
        five = flat.copy()
        five[[1, 2, 5, *range(9, 14)]] = False
        assert "no overlap" in {kind for kind, _ in found(five)}


@pytest.mark.parametrize(
    ("kept", "lost"), [("Scaphoid", "Lunate"), ("Lunate", "TriquetrumPisiform"), ("Capitate", "Hamate")]
)
def test_two_bones_in_one_region_are_noticed(kept, lost, wrists):
    keep, lose = bone_index(kept), bone_index(lost)
    for masks in wrists:
        merged = masks.copy()
        merged[keep] |= masks[lose]
        ((kind, message),) = found(merged)  # the other one is drawn as well, within it
        assert kind == "two bones in one region" and kept in message and lost in message
        merged[lose] = False
        said = found(merged)
        assert [kind for kind, _ in said] == ["two bones in one region"]
        assert f"{kept} is as large as two bones" in said[0][1] and lost in said[0][1]
        twice = masks.copy()
        twice[lose] = masks[keep]
        assert "two bones in one region" in {kind for kind, _ in found(twice)}


def test_crumbs_are_noticed(wrists):
    for masks in wrists:
        crumb = masks.copy()
        crumb[4] = False
        crumb[4, 60, 60:65] = True
        (message,) = [message for kind, message in found(crumb) if kind == "tiny mask"]
        assert "Lunate 5" in message


def test_the_checker_says_it(tmp_path, capsys):
    """Two overlapping discs as one region of a radiograph that shows nothing else."""
    y, x = np.ogrid[:64, :64]
    mask = ((y - 32) ** 2 + (x - 26) ** 2 < 13.5**2) | ((y - 30) ** 2 + (x - 38) ** 2 < 12.5**2)
    runs = {"counts": plain_run_lengths(mask), "size": [64, 64]}
    source = small_coco(tmp_path / "in", ["0001_0001_L.png"], [runs])
    content = json.loads(source.read_text())
    content["categories"][0]["name"] = "Scaphoid"
    source.write_text(json.dumps(content))
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    assert main(["data", "check", str(tmp_path / "out")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "one region" in line]
    assert len(lines) == 1 and lines[0].startswith("warning: ") and "0001_0001_L.npy" in lines[0]
    assert "Scaphoid is as large as two bones" in lines[0] and "Lunate" in lines[0]
    assert all(name in BONE_NAMES for name in ("Scaphoid", "Lunate"))
