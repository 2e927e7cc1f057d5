"""Comparison of two visits of one wrist: changes in erosion, bone area and joint space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jointwrist.anatomy import BONES, shows_wrist
from jointwrist.errors import DataError
from jointwrist.inference.followup.registration import Similarity, poor_fit_caution, register
from jointwrist.inference.followup.visit_pixels import VisitPixels, bone_areas
from jointwrist.inference.followup.visits import same_picture_caution, visit_cautions
from jointwrist.inference.joint_space import SPACES, JointSpace, joint_space, site_of
from jointwrist.inference.result import WristResult
from jointwrist.inference.space_change import SpaceChange, bone_motions, space_change
from jointwrist.text import NOTICE

if TYPE_CHECKING:
    from PIL import Image


#: Note of a comparison with negative widths.
OVERLAP_NOTE = "A negative width of a joint space is the depth to which the projections of its bones overlap."


@dataclass(frozen=True)
class Comparison:
    """A follow-up compared with its baseline.

    Lengths are in mm where both radiographs state their pixel spacing, otherwise in pixels of the baseline.

    Attributes:
        baseline: Earlier result, on its wrist alone.
        followup: Later result, on its wrist alone.
        registration: Similarity from pixels of the follow-up to pixels of the baseline.
        unit: "mm" or "px".
        areas: (14, 2) bone areas of baseline and follow-up in unit², within the part that both radiographs show; nan
            where a bone is missing in either.
        spaces: Joint spaces of baseline and follow-up by pair of bones; None where a space cannot be measured.
        changes: Changes of these spaces by the motion of the bones; None where a bone cannot be followed.
        corners: Left and top of either wrist on its radiograph with square pixels.
        warnings: Reasons to doubt that these are two visits of one patient in this order, a sentence each.
    """

    baseline: WristResult
    followup: WristResult
    registration: Similarity
    unit: str
    areas: np.ndarray
    spaces: dict[tuple[int, int], tuple[JointSpace | None, JointSpace | None]]
    changes: dict[tuple[int, int], SpaceChange | None]
    corners: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    warnings: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return notes for the reader of the comparison, one sentence each."""
        notes = [*dict.fromkeys((*self.baseline.notes, *self.followup.notes))]
        if self.unit == "px":
            notes.append(
                "At least one radiograph states no pixel spacing: lengths are in pixels of the baseline, and the scale"
                " between the radiographs was found from the bones, which hides a change common to all bones."
            )
        if any(space and space.minimum < 0 for pair in self.spaces.values() for space in pair):
            notes.append(OVERLAP_NOTE)
        return tuple(notes)

    def joints(self) -> list[dict[str, Any]]:
        """Return the erosion of each joint surface at both visits."""
        rows = []
        anatomy = self.baseline.anatomy
        for joint in anatomy.eroded_joints:
            row: dict[str, Any] = {"name": joint.name}
            for visit, result in (("baseline", self.baseline), ("followup", self.followup)):
                scored = result.scored[joint.index]
                row[f"{visit}_score"] = anatomy.erosion.labels[result.scores[joint.index]] if scored else None
                row[f"{visit}_probability"] = _rounded(result.probabilities[joint.index])
            if self.baseline.scored[joint.index] and self.followup.scored[joint.index]:
                row["level_change"] = int(self.followup.scores[joint.index] - self.baseline.scores[joint.index])
            rows.append(row)
        return rows

    def bones(self) -> list[dict[str, Any]]:
        """Return the area of each bone at both visits."""
        return [
            {
                "name": bone.name,
                "baseline": _rounded(before, 2),
                "followup": _rounded(after, 2),
                "change_percent": _rounded(100 * (after / before - 1), 2) if before > 0 else None,
            }
            for bone, (before, after) in zip(BONES, self.areas, strict=True)
        ]

    def joint_spaces(self) -> list[dict[str, Any]]:
        """Return the joint spaces at both visits, and their changes measured from the masks and from bone motion."""
        rows = []
        for pair, (before, after) in self.spaces.items():
            row: dict[str, Any] = {"between": [BONES[bone].name for bone in pair], "site": site_of(pair)}
            for key in ("minimum", "mean", "area", "overlap"):
                widths = [np.nan if space is None else getattr(space, key) for space in (before, after)]
                row |= {f"baseline_{key}": _rounded(widths[0], 3), f"followup_{key}": _rounded(widths[1], 3)}
                row[f"{key}_change"] = _rounded(widths[1] - widths[0], 3)
            moved = self.changes[pair]
            row["displacement"] = None if moved is None else _rounded(moved.change, 3)
            row["displacement_error"] = None if moved is None else _rounded(moved.error, 3)
            rows.append(row)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the pixels, as JSON values."""
        return {
            "baseline": self.baseline.name,
            "followup": self.followup.name,
            "side": self.baseline.side,
            "model": self.baseline.model,
            "notice": NOTICE,
            "unit": self.unit,
            "registration": {
                "scale": round(self.registration.scale, 5),
                "angle_degrees": round(float(np.degrees(self.registration.angle)), 3),
                "shift_px": [round(float(value), 2) for value in self.registration.shift],
                "residual_px": round(self.registration.residual, 3),
                "residual_points": self.registration.points[0],
                "outline_points": self.registration.points[1],
            },
            "joints": self.joints(),
            "bone_areas": self.bones(),
            "joint_spaces": self.joint_spaces(),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "weights": self.baseline.describe_weights(),
        }

    def plot(self, side: int = 960) -> Image.Image:
        """Draw the outlines of both visits on the baseline radiograph, whose longer side is then `side` pixels."""
        from jointwrist.outputs.comparison_picture import draw_comparison

        return draw_comparison(self, side)

    def save(self, folder: str | Path) -> list[Path]:
        """Write `comparison.json` and `comparison.png` into a folder, which is made if it is missing."""
        from jointwrist.outputs.comparison_picture import save_comparison

        return save_comparison(self, folder)


def compare(baseline: WristResult, followup: WristResult, spaces: Sequence[tuple[int, int]] = SPACES) -> Comparison:
    """Compare two visits of one wrist.

    Args:
        baseline: Earlier result.
        followup: Later result of the same hand.
        spaces: Pairs of bones, by their indices, whose joint space is measured.

    Raises:
        DataError: The radiographs do not show wrists, show different hands, or show too few bones for a registration.
        TypeError: These are no results.
    """
    for result in (baseline, followup):
        if not isinstance(result, WristResult):
            kind = type(result).__name__
            raise TypeError(f"two results are compared, each as predictor(path).single() returns it, not {kind}")
        if not shows_wrist(result.anatomy):
            raise DataError(
                f"{result.name}: visits are compared for wrists only, not for the anatomy {result.anatomy.name}"
            )
    baseline, followup = baseline.with_square_pixels(), followup.with_square_pixels()
    if baseline.side != followup.side:
        raise DataError(
            f"{baseline.name} is a {_hand(baseline)} hand and {followup.name} a {_hand(followup)} one; two visits of"
            " one wrist are compared (state the side with --side if a file does not)"
        )
    corners = (baseline.placement.bounds[:2], followup.placement.bounds[:2])
    baseline, followup = baseline.cropped(), followup.cropped()
    spacings = (baseline.radiograph.spacing_mm, followup.radiograph.spacing_mm)
    known = None not in spacings
    visits = (VisitPixels.of(baseline), VisitPixels.of(followup))
    steps = [visit.step for visit in visits]
    scale = spacings[1] * steps[1] / (spacings[0] * steps[0]) if known else None
    motion = register(visits[0].masks, visits[1].masks, scale)
    registration = motion.on_pixels(*(1 / step for step in steps))
    per_pixel = spacings if known else (1.0, registration.scale)
    widths = {
        pair: tuple(
            joint_space(result.masks[pair[0]], result.masks[pair[1]], length)
            for result, length in zip((baseline, followup), per_pixel, strict=True)
        )
        for pair in spaces
    }
    areas = bone_areas(*visits, motion) * per_pixel[0] ** 2
    changes = space_changes(*visits, motion, spaces, per_pixel[0])
    radiographs = baseline.radiograph, followup.radiograph
    poor = poor_fit_caution(motion, visits[0].masks)
    warnings = (*same_picture_caution(*radiographs), *visit_cautions(*radiographs), *poor)
    return Comparison(
        baseline, followup, registration, "mm" if known else "px", areas, widths, changes, corners, warnings
    )


def space_changes(
    baseline: VisitPixels,
    followup: VisitPixels,
    registration: Similarity,
    spaces: Sequence[tuple[int, int]],
    spacing: float,
) -> dict[tuple[int, int], SpaceChange | None]:
    """Return the change of each joint space measured from the motion of its bones.

    Args:
        baseline: Earlier visit.
        followup: Later visit.
        registration: Similarity from the pixels of the follow-up to those of the baseline, as they are compared.
        spaces: Pairs of bones.
        spacing: Side of a pixel of the baseline's radiograph in the unit of the result.
    """
    visits = (baseline, followup)
    motions = bone_motions(
        [visit.pixels for visit in visits],
        [visit.masks for visit in visits],
        registration,
        {bone for pair in spaces for bone in pair},
    )
    return {
        (first, second): space_change(
            baseline.masks[first], baseline.masks[second], (motions[first], motions[second]), spacing * baseline.step
        )
        if first in motions and second in motions
        else None
        for first, second in spaces
    }


def _hand(result: WristResult) -> str:
    return "left" if result.side == "L" else "right"


def _rounded(value: float, digits: int = 4) -> float | None:
    # plus 0: no -0.0
    return round(float(value), digits) + 0.0 if np.isfinite(value) else None
