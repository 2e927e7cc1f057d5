"""Lesion-insertion study: probabilities of each joint unmodified, with an inserted erosion, and with a control."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from jointwrist.anatomy import JOINT_NAMES, Anatomy
from jointwrist.config import ConfigError, digest
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.files import write_frame
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.insertion.insert import STUDY_FAMILIES, TRAINING_FAMILIES, Insertion, insert_control, insert_erosion
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.renamed_names import former_arguments

#: Kinds of rows: the unmodified joint, with an erosion, and with the same change in soft tissue.
KINDS = ("plain", "inserted", "control")


@dataclass(frozen=True)
class StudyPlan:
    """Settings of the insertions into each radiograph.

    Attributes:
        radii: Radii of erosions in mm.
        families: Families of erosions; those of training are refused.
        repeats: Erosions of each joint and radius.
        control_mm: Radius of the erosions whose grey change is also made in soft tissue, as a control; one of `radii`.
        seed: Seed.
    """

    radii: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0)
    families: tuple[str, ...] = STUDY_FAMILIES
    repeats: int = 1
    control_mm: float = 2.0
    seed: int = 0

    def __post_init__(self):
        """Check the plan.

        Raises:
            ConfigError: A radius is not between 0.3 and 10 mm, the control is not among the radii, or a family is
                unknown or used for training.
        """
        if not self.radii or not all(0.3 <= radius <= 10 for radius in self.radii):
            raise ConfigError(f"radii {self.radii}: give at least one, each between 0.3 and 10 mm")
        if self.control_mm not in self.radii:
            raise ConfigError(f"the control of {self.control_mm:g} mm must be one of the radii {self.radii}")
        if self.repeats < 1:
            raise ConfigError(f"repeats {self.repeats}: give at least 1")
        trained = sorted(set(self.families) & set(TRAINING_FAMILIES))
        if trained:
            raise ConfigError(f"{', '.join(trained)}: used for training; a study takes {', '.join(STUDY_FAMILIES)}")
        unknown = sorted(set(self.families) - set(STUDY_FAMILIES))
        if unknown or not self.families:
            raise ConfigError(f"families {', '.join(unknown) or 'none'}: choose among {', '.join(STUDY_FAMILIES)}")


@dataclass(frozen=True)
class Trial:
    """One insertion of a study.

    Attributes:
        joint: Index of the joint surface.
        radius_mm: Radius.
        repeat: Number of the erosion of this joint and radius.
        family: Family.
        seed: Seed of the insertion.
    """

    joint: int
    radius_mm: float
    repeat: int
    family: str
    seed: int

    def insert(self, wrist: PreparedRadiograph) -> Insertion | None:
        """Make the insertion; None where the joint has no site for one."""
        return insert_erosion(wrist.radiograph, self.joint, self.family, self.radius_mm, self.seed)


def trials(path: Path, plan: StudyPlan) -> Iterator[Trial]:
    """Yield the trials of a prepared radiograph; they depend only on its name and the plan."""
    name = int(hashlib.sha256(path.stem.encode()).hexdigest()[:8], 16)
    for joint, radius, repeat in product(range(len(JOINT_NAMES)), plan.radii, range(plan.repeats)):
        sequence = np.random.SeedSequence([plan.seed, name, joint, round(1000 * radius), repeat])
        family = plan.families[(name + joint + repeat) % len(plan.families)]
        yield Trial(joint, radius, repeat, family, int(sequence.generate_state(1)[0]))


def refuse_other_joints(anatomy: Anatomy, weights: Path | str) -> None:
    """Refuse weights whose first joints are not those of the wrist, into which erosions are inserted.

    Raises:
        DataError: They are of another anatomy.
    """
    if anatomy.joint_names[: len(JOINT_NAMES)] != JOINT_NAMES:
        raise DataError(
            f"{weights}: scores joints of the anatomy {anatomy.name}, and erosions are inserted into wrists only; give"
            " weights of wrists"
        )


@former_arguments(films="prepared")
def run_study(
    prepared: Sequence[Path],
    predictor: Predictor,
    plan: StudyPlan,
    folder: Path,
    batch_size: int = 4,
    progress: bool = False,
) -> pd.DataFrame:
    """Predict every radiograph unmodified, with each erosion, and with the controls.

    The rows of each radiograph are saved as soon as they are complete, so that an interrupted study continues.

    Args:
        prepared: Files of prepared radiographs.
        predictor: Predictor whose weights score joints.
        plan: Settings of the insertions.
        folder: Folder of this plan and these weights, for the rows of each radiograph.
        batch_size: Images that go through the network at once.
        progress: Show a progress bar.

    Returns:
        Rows with film, patient, side, joint, kind (`KINDS`), family, radius_mm, repeat, seed, probability, contrast
        (mean decrease of grey in the eroded pixels) and area_mm2. A joint that the network does not find has the
        probability nan.

    Raises:
        DataError: The weights are of another anatomy.
    """
    refuse_other_joints(predictor.anatomy, predictor.weights)
    # the figures of a study do not depend on postprocessed masks
    predictor, frames = copy(predictor), []
    predictor.postprocess = False
    for path in tqdm(prepared, desc="insert erosions", disable=not progress, mininterval=1.0):
        kept = folder / f"{path.stem}-{digest(asdict(plan))}.csv"
        if not kept.is_file():
            write_frame(kept, pd.DataFrame(_radiograph_rows(path, predictor, plan, batch_size)))
        # a file named "NA" is not a missing value, nor a patient "1e9" a number
        words = dict.fromkeys(("film", "patient", "side", "joint", "kind", "family"), str)
        frames.append(pd.read_csv(kept, dtype=words, keep_default_na=False, na_values={"probability": [""]}))
    return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class _Image:
    """A network input; without a trial, the unmodified radiograph."""

    pixels: np.ndarray
    kind: str
    trial: Trial | None = None
    insertion: Insertion | None = None


def _radiograph_rows(path: Path, predictor: Predictor, plan: StudyPlan, batch_size: int) -> list[dict[str, Any]]:
    wrist = PreparedRadiograph.read(path)
    images = list(_images(path, wrist, plan))
    rows: list[dict[str, Any]] = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        for image, probabilities in zip(batch, _probabilities(predictor, batch), strict=True):
            rows += _rows(wrist, image, probabilities)
    return rows


def _images(path: Path, wrist: PreparedRadiograph, plan: StudyPlan) -> Iterator[_Image]:
    yield _Image(wrist.radiograph.pixels, "plain")
    for trial in trials(path, plan):
        insertion = trial.insert(wrist)
        if insertion is None:
            continue
        yield _Image(insertion.pixels, "inserted", trial, insertion)
        if trial.radius_mm == plan.control_mm and (control := insert_control(wrist.radiograph, insertion)) is not None:
            yield _Image(control.pixels, "control", trial, control)


def _rows(wrist: PreparedRadiograph, image: _Image, probabilities: np.ndarray) -> Iterator[dict[str, Any]]:
    trial, insertion = image.trial, image.insertion
    for joint in range(len(JOINT_NAMES)) if trial is None else [trial.joint]:
        yield {
            "film": wrist.name,
            "patient": wrist.patient,
            "side": wrist.side,
            "joint": JOINT_NAMES[joint],
            "kind": image.kind,
            "family": trial.family if trial else "",
            "radius_mm": trial.radius_mm if trial else 0.0,
            "repeat": trial.repeat if trial else 0,
            "seed": trial.seed if trial else 0,
            "contrast": insertion.contrast if insertion else 0.0,
            "area_mm2": np.count_nonzero(insertion.eroded) * wrist.radiograph.pixel_mm**2 if insertion else 0.0,
            "probability": float(probabilities[joint]),
        }


def _probabilities(predictor: Predictor, images: Sequence[_Image]) -> list[np.ndarray]:
    """Return the (6,) probabilities of images of a right wrist."""
    placements = [Placement(Radiograph(image.pixels, side="R")) for image in images]
    return [result.probabilities for result in predictor.predict(placements)]
