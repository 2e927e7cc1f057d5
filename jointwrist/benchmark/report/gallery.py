"""Gallery of the best, median and worst test wrist of a model, with switches for true and predicted outlines."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from io import BytesIO

import numpy as np
import pandas as pd
from PIL import Image

from jointwrist.anatomy import Anatomy
from jointwrist.benchmark.report.folder import Job
from jointwrist.data.dataset.case import Case, load_sample
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.outputs.svg import outline_path

SIDE = 420


def ranked_cases(rows: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """Return case and mean DSC over bones of the best, median and worst wrist; fewer if there are fewer wrists."""
    means = rows[rows["kind"] == "bone"].groupby("case")["dsc"].mean().dropna().sort_values(kind="stable")
    picked = {}
    for title, place in (("best", len(means) - 1), ("median", (len(means) - 1) // 2), ("worst", 0)):
        if len(means) and means.index[place] not in [case for case, _ in picked.values()]:
            picked[title] = (str(means.index[place]), float(means.iloc[place]))
    return picked


def gallery(job: Job, dataset: RamW600) -> str:
    """Draw three wrists of a finished segmentation or joint job.

    Raises:
        DataError: The release does not hold the wrists that the job was tested on, or the weights cannot be read.
    """
    cases = {case.identifier: case for case in dataset.cases}
    predictor = Predictor.from_pretrained(job.folder, localise=False)
    erosion = job.rows("erosion")
    figures = []
    for title, (identifier, dsc) in ranked_cases(job.rows("segmentation")).items():
        if identifier not in cases:
            raise DataError(f"{dataset.root}: has no wrist {identifier}, on which {job.name} was tested; give its data")
        case = cases[identifier]
        calls = erosion_calls(erosion[erosion["case"] == identifier], case.anatomy) if erosion is not None else ""
        figures.append(
            f'<figure class="case"><figcaption><b>{title}</b> {escape(identifier)}, mean DSC {100 * dsc:.2f} %'
            f'</figcaption><button type="button" class="large" aria-label="Show {escape(identifier)} large">large'
            f"</button>{draw_case(case, predictor)}{calls}</figure>"
        )
    return f'<div class="gallery"><h3>{escape(job.name)}</h3><div class="cases">{"".join(figures)}</div></div>'


def draw_case(case: Case, predictor: Predictor) -> str:
    """Draw a radiograph with the outlines of its bones, true ones dashed, predicted ones filled."""
    result = predictor(case.image, side=case.side).single()
    radiograph = result.radiograph.pixels
    height, width = radiograph.shape
    scale = SIDE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    layers = [_layer("predicted", result.masks, scale, case.anatomy)]
    truth = load_sample(case, right_hand=False).bones if case.mask is not None else None
    if truth is not None:
        layers.append(_layer("true", unpack_masks(truth, len(case.anatomy.bones)), scale, case.anatomy))
    return (
        f'<svg class="radiograph" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(case.identifier)}">'
        f'<image href="{radiograph_address(radiograph, size)}" width="{size[0]}" height="{size[1]}"/>'
        f"{''.join(layers)}</svg>"
    )


def radiograph_address(radiograph: np.ndarray, size: tuple[int, int]) -> str:
    """Encode an (H, W) float radiograph in [0, 1] as the data URL of a JPEG."""
    grey = Image.fromarray((np.clip(radiograph, 0, 1) * 255 + 0.5).astype(np.uint8)).resize(
        size, Image.Resampling.LANCZOS
    )
    stream = BytesIO()
    grey.save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _layer(kind: str, masks: np.ndarray, scale: float, anatomy: Anatomy) -> str:
    paths = []
    for bone in anatomy.bones:
        path = outline_path(masks[bone.index], scale)
        if path:
            colour = "#{:02x}{:02x}{:02x}".format(*bone.colour)
            said = f"{bone.display}, {kind}"
            paths.append(
                f'<path class="bone" data-bone="{bone.index}" fill="{colour}" stroke="{colour}" d="{path}">'
                f"<title>{escape(said)}</title></path>"
            )
    return f'<g class="layer {kind}" data-layer="{kind}">{"".join(paths)}</g>'


def erosion_calls(rows: pd.DataFrame, anatomy: Anatomy) -> str:
    """Return the joint surfaces of a wrist as a table with a bar for every probability."""
    by_joint: Mapping[str, dict] = {row["joint"]: row for row in rows.to_dict("records")}
    lines = []
    for joint in anatomy.eroded_joints:
        row = by_joint.get(joint.name)
        if row is None:
            continue
        right = bool(row["predicted"]) == (row["score"] > 0)
        lines.append(
            f'<tr class="{"right" if right else "wrong"}"><td>{escape(joint.display)}</td><td>{int(row["score"])}</td>'
            f'<td><meter min="0" max="1" value="{row["probability"]:.4f}"></meter> {row["probability"]:.2f}</td>'
            f"<td>{'eroded' if row['predicted'] else 'healthy'}</td></tr>"
        )
    if not lines:
        return ""
    head = "<tr><th>joint surface</th><th>true score</th><th>probability</th><th>call</th></tr>"
    return f'<table class="calls"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'
