"""Results: masks and erosion scores of a wrist, in the orientation and size of its radiograph."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jointwrist.anatomy import NOT_SCORED, WRIST, Anatomy, shows_wrist
from jointwrist.data.mask_formats.bit_map import read_bits
from jointwrist.errors import DataError
from jointwrist.inference.joint_scores import JointScores
from jointwrist.inference.joint_space import SPACES, joint_space, site_of
from jointwrist.inference.pixel_aspect import resample_mask, scale_boxes
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.text import printable
from jointwrist.weights.training_history import TrainingHistory

if TYPE_CHECKING:
    from PIL import Image

    from jointwrist.data.radiograph import Radiograph
    from jointwrist.inference.placement import Placement
    from jointwrist.inference.resolution import Resolution
    from jointwrist.inference.scope.report import Limit, ScopeReport
    from jointwrist.inference.test_time_augmentation import Uncertainty

UNKNOWN_SIDE = "Side not known, taken for a right hand: state it with --side, or end the file name in _L or _R."
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
        history: Training data of the weights.
        extent: (J, 3) float32 extent of erosion of each joint: share of the healthy contour that faces an articulating
            bone, depth, and area; in pixels of `right_hand`, squared for the area. None from a model that gives none.
        anatomy: The bones, C, and joints, J.
        further: The anatomy's scores other than erosion, where the model gives them.
        scope: Findings outside the scope of the weights; None where the weights do not state their scope.
        resolution: Whether the radiograph is fine enough for the erosion scores; None without an erosion head.
        weights: `weights.find.weights_label` of the weight file; empty where the network did not come from a file.
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
    weights: str = ""

    @property
    def weight_file(self) -> str:
        """Return `weights`, or nothing where the model's name identifies them."""
        return "" if self.weights == self.model else self.weights

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
    def score_warning(self) -> str:
        """Return the warning of the training history; `score_warnings` took its place."""
        warnings.warn("WristResult.score_warning is now score_warnings, which is a tuple", FutureWarning, stacklevel=2)
        return self.history.warning if self.scored.any() else ""

    @property
    def resolution_notes(self) -> tuple[str, ...]:
        """Return notes if the radiograph is too coarse for erosion scores, and if they are therefore withheld."""
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
        from jointwrist.outputs.result_json import result_json

        return result_json(self)

    def describe_weights(self) -> dict[str, Any]:
        """Return the weight file and what it was trained on, as JSON values."""
        return {"file": self.weights or None, **self.history.describe()}

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
            space = joint_space(square.masks[first], square.masks[second], spacing or 1.0, square.radiograph.pixels)
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
            DataError: The radiograph is not a DICOM image.
            MissingExtraError: highdicom is not installed.
        """
        from jointwrist.outputs.dicom_instance import save_dataset
        from jointwrist.outputs.dicom_seg import build_seg

        return save_dataset(build_seg(self, deidentify), path)

    def save_sr(self, path: str | Path, deidentify: bool = False) -> Path:
        """Write the erosion findings as a DICOM structured report; arguments and errors as for `save_seg`."""
        from jointwrist.outputs.dicom_instance import save_dataset
        from jointwrist.outputs.dicom_sr import build_sr

        return save_dataset(build_sr(self, deidentify), path)


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
