"""Choose the decision threshold for a stated false-positive rate on real radiographs and on phantoms."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jointwrist.anatomy import info_anatomy
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import as_right_hand
from jointwrist.errors import DataError
from jointwrist.files import atomic
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.registry import model_spec
from jointwrist.renamed_names import former_arguments, former_names
from jointwrist.studies.detectability import call_threshold
from jointwrist.studies.insertion_study import refuse_other_joints
from jointwrist.text import number_of
from jointwrist.weights.checkpoint import require_info, write_info

#: Seed of the phantoms without erosions.
_SEED = 20261129


@dataclass(frozen=True)
class Calls:
    """A decision threshold, and the data that it was chosen on.

    Attributes:
        threshold: Probability from which a joint counts as eroded.
        false_calls: Share of the joints without inserted or drawn erosions that may be called.
        films: Unmodified radiographs on which it was chosen; erosions that they show are counted as false calls, which
            makes the threshold higher.
        phantoms: Phantoms without erosions on which it was chosen.
        wrists_called: Share of these radiographs and phantoms with at least one joint called.
    """

    threshold: float
    false_calls: float
    films: int
    phantoms: int
    wrists_called: float

    def __str__(self) -> str:
        """Describe the threshold in one sentence."""
        return (
            f"A joint is called eroded from {self.threshold:.3f}: at most {self.false_calls:.0%} of the joints of"
            f" {number_of(self.films, 'unmodified radiograph')} and of {number_of(self.phantoms, 'phantom')} without"
            " erosions are called, and"
            f" {self.wrists_called:.0%} of these wrists have at least one call."
        )


@former_arguments(films="radiographs")
def choose_calls(radiographs: Sequence[np.ndarray], phantoms: Sequence[np.ndarray], false_calls: float) -> Calls:
    """Choose the lowest threshold that keeps the stated rate on radiographs and on phantoms.

    Args:
        radiographs: (6,) probabilities of unmodified radiographs; nan where a joint was not found.
        phantoms: (6,) probabilities of phantoms without erosions; empty where none were made.
        false_calls: Largest share of joints that may be called.
    """
    kinds = [np.stack(part) for part in (radiographs, phantoms) if len(part)]
    threshold = max(call_threshold(part[np.isfinite(part)], false_calls) for part in kinds)
    wrists = np.concatenate(kinds)
    called = call_eroded(wrists, threshold).any(1).mean()
    return Calls(float(threshold), false_calls, len(radiographs), len(phantoms), float(called))


@former_arguments(films="files")
def radiograph_probabilities(files: Iterable[Path], predictor: Predictor) -> list[np.ndarray]:
    """Return the (6,) probabilities of prepared radiographs without inserted erosions."""
    return [_probabilities(PreparedRadiograph.read(path).radiograph.pixels, predictor) for path in files]


def phantom_probabilities(count: int, predictor: Predictor) -> list[np.ndarray]:
    """Return the (6,) probabilities of phantoms without erosions."""
    config = PhantomConfig(size=predictor.detail_size, prevalence=0.0)
    return [
        _probabilities(as_right_hand(make_wrist(_SEED, index, config)).image[0], predictor) for index in range(count)
    ]


def _probabilities(pixels: np.ndarray, predictor: Predictor) -> np.ndarray:
    return predictor.predict([Placement(Radiograph(pixels, side="R"))])[0].probabilities


def refuse_unscored(weights: Path) -> dict[str, Any]:
    """Return the metadata of weights that score erosions of wrists.

    Raises:
        DataError: The weights cannot be read, score no erosion, or are of another anatomy.
    """
    info = require_info(weights)
    if model_spec(info["model"]).task != "joint":
        raise DataError(f"{weights}: {info['model']} scores no erosion; give weights of a joint network")
    refuse_other_joints(info_anatomy(info), weights)
    return info


def write_calls(weights: Path, calls: Calls, out: Path) -> None:
    """Write weights with the threshold and the data behind it, which their model card then states.

    Args:
        weights: Weight file.
        calls: The threshold.
        out: File to write; may be `weights`.

    Raises:
        DataError: The weights cannot be read, or score no erosion.
    """
    info = refuse_unscored(weights)
    thresholds = {"mask": 0.5, **info.get("thresholds", {}), "erosion": calls.threshold}
    described = {**info, "thresholds": thresholds, "calls": asdict(calls)}
    if out == weights:
        write_info(out, described)
        return
    with atomic(out) as temporary:
        shutil.copyfile(weights, temporary)
        write_info(temporary, described)


__getattr__ = former_names(__name__, film_probabilities="radiograph_probabilities")
