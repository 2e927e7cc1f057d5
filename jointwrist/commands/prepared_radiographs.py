"""Radiographs of a folder, prepared for the insertion of erosions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jointwrist.commands.messages import complain, is_main_process


def prepared_radiographs(
    folder: Path,
    work_folder: Path,
    weights: str | Path,
    side: str | None = None,
    exclude: Path | None = None,
    **options: Any,
) -> list[Path]:
    """Find the bones on the radiographs of a folder, and return the files of the prepared radiographs.

    Args:
        folder: Folder of radiographs without labels.
        work_folder: Folder of prepared radiographs.
        weights: Weights that find the bones.
        side: Hand on the radiographs.
        exclude: Folder within that is not searched.
        **options: Options of `Predictor.from_pretrained`.

    Raises:
        DataError: There are no radiographs, none of them shows a wrist, or the results are to be written among them.
    """
    from jointwrist.data.find_radiographs import find_radiographs
    from jointwrist.errors import DataError
    from jointwrist.inference.predictor import Predictor
    from jointwrist.inference.prepare_radiographs import prepare_radiographs
    from jointwrist.weights.find import find_weights

    if exclude is not None and folder.resolve() == exclude.resolve():
        raise DataError(
            f"{folder}: holds the radiographs, of which pictures of the results would be taken for some; choose"
            " another --out"
        )
    found = list(find_radiographs([folder], exclude))
    predictor = Predictor.from_pretrained(weights, **options)
    file = find_weights(weights)
    prepared = prepare_radiographs(found, work_folder, predictor, file, side, complain, progress=is_main_process())
    if not prepared:
        raise DataError(
            f"{folder}: no radiograph shows a wrist with all of its carpal bones, for the reasons above; give others"
        )
    return prepared
