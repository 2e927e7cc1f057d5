"""Evaluation on the radiographs' own pixels: per-case results of `Predictor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from accelerate import Accelerator
from tqdm.auto import tqdm

from jointwrist.anatomy import NOT_SCORED
from jointwrist.data.dataset.case import Case, load_sample
from jointwrist.engine.results.case_results import CaseResults, gather_case_results
from jointwrist.errors import DataError
from jointwrist.inference.batches import radiograph_batches
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import WristResult
from jointwrist.metrics.segmentation_results import segmentation_results


def evaluate_radiographs(
    accelerator: Accelerator,
    predictor: Predictor,
    cases: Sequence[Case],
    batch_size: int = 4,
    refused: Callable[[DataError], None] | None = None,
    progress: bool = False,
) -> CaseResults:
    """Predict the radiographs of cases as `jointwrist predict` does, and measure the results at their own size.

    Args:
        accelerator: Processes share the radiographs; each of them gets all results back.
        predictor: Predictor; its `postprocess` decides whether masks are measured with postprocessing.
        cases: Cases with masks, scores or both.
        batch_size: Number of radiographs that go through the network at once.
        refused: Called with the error of a radiograph that shows no wrist, or that cannot be read, or whose masks
            cannot, which then has no results; None raises it.
        progress: Show a progress bar.

    Returns:
        Rows by table, sorted by their keys: "segmentation" as of `segmentation_results`, in mm too where the spacing is
        known, and of networks that score joints "erosion". A joint surface whose bone was not found counts as not
        eroded: its probability and level are 0 and `found` is False.

    Raises:
        DataError: A radiograph, or its masks, cannot be read.
        TrainingError: Another process could not evaluate its part.
    """
    paths = [case.image for case in cases]
    batches = list(radiograph_batches(paths, batch_size, predictor.pairs_hands))
    mine = [cases[i] for batch in batches[accelerator.process_index :: accelerator.num_processes] for i in batch]
    gathered: list[tuple[str, dict[str, Any]]] = []
    error: Exception | None = None
    try:
        done = predictor.stream([case.image for case in mine], batch_size=batch_size, refused=refused)
        with tqdm(
            total=len(mine), desc="radiographs", disable=not (progress and accelerator.is_main_process), mininterval=1.0
        ) as bar:
            for index, results in done:
                try:
                    gathered += list(_rows(mine[index], results))
                except DataError as unreadable:
                    if refused is None:
                        raise
                    refused(unreadable)
                bar.update()
    except Exception as failed:
        error = failed
    return gather_case_results(accelerator, gathered, error)


def _rows(case: Case, results: Sequence[WristResult]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the results of one case, each with its table's name; of two hands, only those of the case's hand."""
    chosen = [result for result in results if result.side == case.side]
    if len(chosen) != 1:
        raise DataError(
            f"{case.image}: shows {len(chosen)} {case.side} hands; crop it to one, or take radiographs whole"
        )
    result = chosen[0]
    who = {"case": case.identifier, "patient": case.patient, "side": case.side}
    if case.mask is not None:
        truth = load_sample(case, right_hand=False).bones
        for row in segmentation_results(
            **who,
            scores=case.scores,
            predicted=result.masks,
            truth=truth,
            spacing_mm=case.spacing_mm,
            anatomy=case.anatomy,
        ):
            yield "segmentation", row
    if result.heat_maps is not None:
        tables = [("erosion", case.scores, result.scores, result.probabilities)]
        tables += [
            (found.score.name, scores, found.levels, found.probabilities)
            for found, scores in zip(result.further, case.further_scores, strict=True)
        ]
        for table, scores, levels, probabilities in tables:
            for joint in np.flatnonzero(np.array(scores) != NOT_SCORED):
                found = bool(levels[joint] != NOT_SCORED)
                values = {
                    "joint": case.anatomy.joint_names[joint],
                    "score": int(scores[joint]),
                    "probability": float(probabilities[joint]) if found else 0.0,
                    "level": int(levels[joint]) if found else 0,
                    "found": found,
                    "scope": "; ".join(map(str, result.limits(joint))),
                }
                yield table, {**who, **values}
