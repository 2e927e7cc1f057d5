"""Results: masks and erosion scores of a wrist, in the orientation and size of its radiograph."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jointwrist import __version__
from jointwrist.anatomy import NOT_SCORED, WRIST, Anatomy, shows_wrist
from jointwrist.data.formats.bit_map import read_bits
from jointwrist.errors import DataError
from jointwrist.inference.joint_scores import JointScores
from jointwrist.inference.joint_space import SPACES, joint_space, site_of
from jointwrist.inference.pixel_aspect import resample_mask, scale_boxes, with_square_pixels
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.text import NOTICE, printable
from jointwrist.weights.training_history import TrainingHistory

if TYPE_CHECKING:
    from PIL import Image

    from jointwrist.data.radiograph import Radiograph
    from jointwrist.inference.placement import Placement
    from jointwrist.inference.resolution import Resolution
    from jointwrist.inference.scope.report import Limit, ScopeReport
    from jointwrist.inference.test_time_augmentation import Uncertainty

UNKNOWN_SIDE = "Side not known, taken for a right hand: say it with --side, or end the file name in _L or _R."
#: Share of the wrist's pixels from which a mask counts as a bone; the smallest bone covers 1 % in RAM-W600.
MIN_BONE_SHARE = 1e-4


@dataclass(frozen=True)
class WristResult:
    """Masks and erosion scores of one wrist, in the orientation of its radiograph.

    Attributes:
        placement: The radiograph, and the position of the wrist on it.
        masks: (C, H, W) bool, in the order of the bones.
        probabilities: (J,) float32 that the joint surface is eroded; nan where its bone was not found, or the score is
            withheld.
        scores: (J,) int64 level, of wrists 0, 1, 2 or 3 (scores 3 to 5); `NOT_SCORED` where the bone was not found, or
            the score is withheld.
        boxes: (J, 4) float32 joint boxes x0, y0, x1, y1 in pixels; nan where the bone was not found.
        threshold: Probability from which a joint surface counts as eroded.
        model: Name of the model.
        uncertainty: Spread over the views of test-time augmentation, or None without it.
        heat_maps: (J, M, M) float32 logits of the eroded area in the joint boxes; the erosion head pools its features
            by their softmax. None from a model that gives none.
        history: What the weights were trained on.
        extent: (J, 3) float32 what is eroded of each joint: share of the healthy contour that faces an articulating
            bone, depth, and area; in pixels of `right_hand`, squared for the area. None from a model that gives none.
        anatomy: The bones, C, and joints, J.
        further: The anatomy's scores other than erosion, where the model gives them.
        scope: What lies outside the scope of the weights; None where the weights do not say.
        resolution: Whether the radiograph is fine enough for the erosion scores; None without an erosion head.
    """

    placement: Placement
    masks: np.ndarray
    probabilities: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    threshold: float = 0.5
    model: str = ""
    uncertainty: Uncertainty | None = None
    heat_maps: np.ndarray | None = None
    history: TrainingHistory = field(default_factory=TrainingHistory)
    extent: np.ndarray | None = None
    anatomy: Anatomy = WRIST
    further: tuple[JointScores, ...] = ()
    scope: ScopeReport | None = None
    resolution: Resolution | None = None

    @property
    def radiograph(self) -> Radiograph:
        """Return the radiograph in its stored orientation."""
        return self.placement.radiograph

    @property
    def side(self) -> str:
        """Return the hand on the radiograph, "L" or "R"; "R" where the radiograph does not say."""
        return self.radiograph.side or "R"

    @property
    def name(self) -> str:
        """Return the radiograph's file name without its folders, control characters escaped; "wrist" for an array."""
        return printable(self.radiograph.source.name) if self.radiograph.source else "wrist"

    @property
    def side_known(self) -> bool:
        """Return whether the side is known; true also for anatomies without sides."""
        return self.radiograph.side is not None or not self.anatomy.sides

    @property
    def notes(self) -> tuple[str, ...]:
        """Return notes for the reader of the result, one sentence each."""
        side = () if self.side_known else (UNKNOWN_SIDE,)
        return (*self.score_warnings, *self.radiograph.notes, *side, *self.scope_notes)

    @property
    def score_warnings(self) -> tuple[str, ...]:
        """Return why the erosion scores, if any, are of limited value for patients, one sentence each."""
        history = self.history.warning if self.scored.any() else ""
        return (*filter(None, [history]), *self.resolution_notes)

    @property
    def resolution_notes(self) -> tuple[str, ...]:
        """Return that the radiograph is too coarse for erosion scores, and whether they are withheld."""
        if self.resolution is None or not np.isfinite(self.boxes).any():
            return ()
        return self.resolution.sentences(withheld=not self.scored.any())

    @property
    def cautions(self) -> tuple[str, ...]:
        """Return the notes that put the whole result in doubt."""
        cautions = self.radiograph.cautions if self.side_known else (*self.radiograph.cautions, UNKNOWN_SIDE)
        return (*cautions, *self.resolution_notes, *self.scope_notes)

    @property
    def scope_notes(self) -> tuple[str, ...]:
        """Return what lies outside the scope of the weights, and which scores are withheld, one sentence each."""
        if self.scope is None:
            return ()
        outside = [joint for joint in self.anatomy.eroded_joints if self.scope.of_joint(joint)]
        withheld = [joint.display for joint in outside if self.withheld[joint.index]]
        some = (f"Scores withheld: {', '.join(withheld)}.",) if withheld else ()
        return (*self.scope.sentences(self.anatomy), *some)

    @cached_property
    def areas(self) -> np.ndarray:
        """Return the (C,) areas of the masks in pixels."""
        return np.array([np.count_nonzero(mask) for mask in self.masks])

    @property
    def found(self) -> np.ndarray:
        """Return (C,) bool, whether the mask of a bone has more than a few stray pixels."""
        return self.areas >= MIN_BONE_SHARE * math.prod(self.placement.shape)

    @property
    def bones(self) -> tuple[str, ...]:
        """Return the names of the bones found."""
        return tuple(name for name, found in zip(self.anatomy.bone_names, self.found, strict=True) if found)

    @property
    def scored(self) -> np.ndarray:
        """Return (J,) bool, whether a joint surface has a score."""
        return self.scores != NOT_SCORED

    @property
    def eroded(self) -> np.ndarray:
        """Return (J,) bool, whether a joint surface is called eroded."""
        return call_eroded(self.probabilities, self.threshold)

    @property
    def withheld(self) -> np.ndarray:
        """Return (J,) bool, whether a joint surface's score is withheld because of its `limits`."""
        limited = [bool(self.limits(joint.index)) for joint in self.anatomy.joints]
        return ~self.scored & np.isfinite(self.boxes[:, 0]) & np.array(limited, bool)

    def limits(self, joint: int) -> tuple[Limit, ...]:
        """Return why a joint surface cannot be judged well: scope of the weights, coarse pixels; empty where it can."""
        scope = () if self.scope is None else self.scope.of_joint(self.anatomy.joints[joint])
        return scope if self.resolution is None else (*scope, *self.resolution.limits)

    def cropped(self) -> WristResult:
        """Return the result cropped to the wrist, as if on a separate radiograph."""
        if self.placement.crop is None:
            return self
        left, top, right, bottom = self.placement.crop
        masks, boxes = self.masks[:, top:bottom, left:right], self.boxes - np.array([left, top, left, top], np.float32)
        placement = replace(self.placement, radiograph=self.placement.cropped(), crop=None)
        return replace(self, placement=placement, masks=masks, boxes=boxes)

    def with_square_pixels(self) -> WristResult:
        """Return the result resampled to square pixels, on which lengths and areas can be measured."""
        placement = self.placement.with_square_pixels()
        before, shape = self.radiograph.pixels.shape, placement.radiograph.pixels.shape
        if before == shape:
            return replace(self, placement=placement)
        masks = np.stack([resample_mask(mask, shape) for mask in self.masks])
        return replace(self, placement=placement, masks=masks, boxes=scale_boxes(self.boxes, before, shape))

    def plot(self) -> Image.Image:
        """Draw masks, joint boxes and a legend on the radiograph."""
        from jointwrist.outputs.overlay import draw_overlay

        return draw_overlay(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the pixels, as JSON values."""
        return {
            "source": self.name,
            "model": self.model,
            "version": __version__,
            "notice": NOTICE,
            "side": self.side if self.anatomy.sides else None,
            "size": list(self.radiograph.pixels.shape),
            "field": list(self.placement.crop) if self.placement.crop else None,
            "turn": self.placement.rotation,
            "pixel_spacing_mm": self._spacing(),
            "pixel_aspect": self.radiograph.aspect,
            "bones": [self._bone(index) for index in range(len(self.masks))],
            "joints": [self._joint(joint.index) for joint in self.anatomy.eroded_joints],
            **(
                {"scores": {found.score.name: found.rows(self.anatomy) for found in self.further}}
                if self.further
                else {}
            ),
            "erosion_threshold": self.threshold,
            "joint_spaces": self.joint_spaces(),
            "scope": self.scope and self.scope.to_dict(),
            "pixels_across_wrist": self.resolution and round(self.resolution.pixels),
            "notes": list(self.notes),
            "weights": self.history.describe(),
        }

    def joint_spaces(self) -> list[dict[str, Any]]:
        """Return the widths of the joint spaces of a wrist, in mm where the pixel spacing is known; see `JointSpace`.

        Those with a bone that was not found are left out; another anatomy has none.
        """
        if not shows_wrist(self.anatomy):
            return []
        square, found = self.with_square_pixels(), self.found
        spacing = square.radiograph.spacing_mm
        rows = []
        for first, second in SPACES:
            space = joint_space(square.masks[first], square.masks[second], spacing or 1.0)
            if space is not None and found[first] and found[second]:
                names = [self.anatomy.bone_names[bone] for bone in (first, second)]
                widths = {name: round(value, 3) for name, value in asdict(space).items()}
                unit = "px" if spacing is None else "mm"
                rows.append({"site": site_of((first, second)), "between": names, "unit": unit, **widths})
        return rows

    def save(self, folder: str | Path, stem: str | None = None) -> list[Path]:
        """Write overlay, JSON and masks.

        Args:
            folder: Folder, made if it is missing.
            stem: Start of the file names; None takes that of the radiograph's file.

        Returns:
            `<stem>_overlay.png`; `<stem>.json`; `<stem>_masks.png`, 16 bits per pixel, of which bit b is bone b; and
            `<stem>_masks.npz` with the same array as `bits` and the names of the bones in order as `names`.
        """
        from jointwrist.outputs.result_files import save_result

        return save_result(self, folder, stem)

    def save_seg(self, path: str | Path, deidentify: bool = False) -> Path:
        """Write the masks as a DICOM segmentation object that refers to the radiograph.

        Args:
            path: File, usually with the ending `.dcm`.
            deidentify: Leave patient and study empty, and replace the UIDs of study, series and image.

        Raises:
            DataError: The radiograph is no DICOM image.
            MissingExtraError: highdicom is not installed.
        """
        from jointwrist.outputs.dicom_seg import build_seg
        from jointwrist.outputs.dicom_source import save_dataset

        return save_dataset(build_seg(self, deidentify), path)

    def save_sr(self, path: str | Path, deidentify: bool = False) -> Path:
        """Write the erosion findings as a DICOM structured report; arguments and errors as for `save_seg`."""
        from jointwrist.outputs.dicom_source import save_dataset
        from jointwrist.outputs.dicom_sr import build_sr

        return save_dataset(build_sr(self, deidentify), path)

    def _spacing(self) -> float | list[float] | None:
        """Return the side of a pixel in mm, or height and width of an oblong one."""
        if self.radiograph.aspect == 1 or self.radiograph.pixel_mm is None:
            return self.radiograph.spacing_mm
        return list(self.radiograph.pixel_mm)

    def _bone(self, index: int) -> dict[str, Any]:
        mask, found = self.masks[index], bool(self.found[index])
        area = int(self.areas[index])
        entry: dict[str, Any] = {"name": self.anatomy.bone_names[index], "found": found, "area_px": area}
        if self.radiograph.pixel_mm is not None:
            entry["area_mm2"] = round(area * math.prod(self.radiograph.pixel_mm), 2)
        if self.uncertainty is not None and np.isfinite(self.uncertainty.bone_dice[index]):
            entry["dice_between_views"] = round(float(self.uncertainty.bone_dice[index]), 4)
        if self.scope is not None:
            entry["scope"] = [limit._asdict() for limit in self.scope.bones[index]]
        if found:
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            entry["box"] = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
        return entry

    def _joint(self, index: int) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": self.anatomy.joint_names[index], "found": bool(self.scored[index])}
        if self.scope is not None or self.limits(index):
            entry |= {
                "withheld": bool(self.withheld[index]),
                "scope": [limit._asdict() for limit in self.limits(index)],
            }
        if np.isfinite(self.boxes[index]).all():
            entry["box"] = [round(float(edge), 1) for edge in self.boxes[index]]
        if self.scored[index]:
            probability = float(self.probabilities[index])
            entry |= {
                "probability": round(probability, 4),
                "eroded": bool(self.eroded[index]),
                "score": int(self.scores[index]),
                "score_label": self.anatomy.erosion.labels[self.scores[index]],
            }
            if self.extent is not None:
                entry["extent"] = self._extent(index)
            if self.uncertainty is not None and np.isfinite(self.uncertainty.probability_sd[index]):
                entry["probability_sd"] = round(float(self.uncertainty.probability_sd[index]), 4)
        return entry

    def _extent(self, index: int) -> dict[str, float]:
        share, depth, area = map(float, self.extent[index])
        pixel = with_square_pixels(self.radiograph).spacing_mm
        lengths = {"depth_px": round(depth, 1), "area_px": round(area)}
        if pixel is not None:
            lengths = {"depth_mm": round(depth * pixel, 2), "area_mm2": round(area * pixel**2, 1)}
        return {"contour_share": round(share, 3), **lengths}


class WristResults(list[WristResult]):
    """Results, one per wrist."""

    def single(self) -> WristResult:
        """Return the result of the only wrist.

        Raises:
            DataError: There are none or several.
        """
        if len(self) != 1:
            names = ", ".join(f"{result.name} {result.side}" for result in self) or "nothing"
            raise DataError(f"one wrist was expected and {len(self)} were predicted: {names}; choose from the list")
        return self[0]


def read_masks(path: str | Path) -> np.ndarray:
    """Read `_masks.png` or `_masks.npz` of `WristResult.save` as (H, W) uint16, of which bit b is bone b."""
    return read_bits(path)
