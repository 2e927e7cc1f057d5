"""Erosions outlined in an annotation go to the joint surface that they lie on."""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import load_anatomy
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.outlined_erosions import draw_erosions
from jointwrist.data.mask_formats.layers import layers_of
from jointwrist.data.shapes.region import Region


def test_an_erosion_of_a_bone_with_two_joints_belongs_to_the_nearer_one(tmp_path):
    hand = load_anatomy("hand")
    masks = np.zeros((29, 96, 96), bool)
    for name, rows in (("PP1", (4, 20)), ("MC1", (20, 76)), ("Trapezium", (76, 92))):
        masks[hand.bone_index(name), rows[0] : rows[1], 30:50] = True
    near_phalanx, near_trapezium = (Region("drawn", [_Box(rows)]) for rows in ((20, 24), (72, 76)))
    for region, joint in ((near_phalanx, "MCP1"), (near_trapezium, "CMC1")):
        erosions = [(hand.bone_index("MC1"), region)]
        radiograph = AnnotatedRadiograph(tmp_path, None, [], tmp_path, erosions, anatomy=hand)
        bits, elsewhere = draw_erosions(radiograph, masks)
        assert elsewhere == 0 and bits.dtype == np.uint32
        assert np.unique(bits).tolist() == [0, 1 << hand.joint_index(joint)]
        (layer,) = layers_of(np.zeros((96, 96), np.uint32), bits, hand)
        assert layer.name == "Metacarpal1st erosion" and layer.mask.sum() == 80


class _Box:
    bounds = None

    def __init__(self, rows):
        self.rows = rows

    def draw(self, size):
        mask = np.zeros(size, bool)
        mask[self.rows[0] : self.rows[1], 30:50] = True
        return mask
