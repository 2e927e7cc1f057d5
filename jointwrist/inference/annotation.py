"""Predictions as annotations that a person corrects."""

from __future__ import annotations

from jointwrist.data.export import DrawnFilm
from jointwrist.data.sample import pack_masks
from jointwrist.inference.result import WristResult


def drawn_result(result: WristResult, stem: str, deidentify: bool = False) -> DrawnFilm:
    """Return the radiograph and the masks of a result.

    Args:
        result: Prediction.
        stem: Name of the files without ending.
        deidentify: Write the pixels alone, without what else the file of the radiograph says.
    """
    film = result.film
    copied = film.source is not None and film.header is None and not deidentify
    return DrawnFilm(
        stem=stem,
        image=film.pixels,
        picture=film.source if copied else None,
        bones=pack_masks(result.masks),
        spacing_mm=film.spacing_mm,
        row={"side": film.side},
    )
