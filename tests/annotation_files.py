"""Files of COCO and labelme with the masks of a phantom, and outlines that fill to those masks again."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
from PIL import Image

from jointwrist.anatomy import BONE_NAMES, BONES


def plain_run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's definition, step by step."""
    counts, inside, run = [], False, 0
    for pixel in mask.T.ravel().tolist():
        if pixel != inside:
            counts.append(run)
            inside, run = pixel, 0
        run += 1
    return [*counts, run]


def staircase(mask: np.ndarray) -> list[list[float]]:
    """The mask as one rectangle a run of each row, so that filling it must give the mask again."""
    polygons = []
    for y, row in enumerate(np.pad(mask, ((0, 0), (1, 1))).astype(int)):
        starts, stops = np.flatnonzero(np.diff(row) == 1).tolist(), np.flatnonzero(np.diff(row) == -1).tolist()
        polygons += [[a, y, b, y, b, y + 1, a, y + 1] for a, b in zip(starts, stops, strict=True)]
    return polygons


OUTLINES = {
    "polygons": staircase,
    "runs": lambda mask: {"counts": plain_run_lengths(mask), "size": list(mask.shape)},
}


def write_coco(folder, masked, outline, categories=BONE_NAMES):
    """Write radiographs and a COCO file; `outline` turns a mask into a segmentation."""
    images, annotations = [], []
    (folder / "images").mkdir(parents=True)
    for case, masks in masked:
        Image.open(case.image).save(folder / "images" / f"{case.identifier}.png")
        height, width = masks.shape[1:]
        images.append(
            {"id": len(images), "file_name": f"images/{case.identifier}.png", "height": height, "width": width}
        )
        for bone, mask in enumerate(masks):
            if mask.any():
                annotations.append(
                    {"id": len(annotations), "image_id": images[-1]["id"], "category_id": bone + 1,
                     "segmentation": outline(mask)}
                )  # fmt: skip
    names = [{"id": 0, "name": "wrist"}, *({"id": bone + 1, "name": name} for bone, name in enumerate(categories))]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": names}))
    return path


def write_labelme(folder, masked):
    """One file a radiograph; bones by turns as rectangles a row run, as polygons of them and as pictures."""
    folder.mkdir(parents=True)
    for case, masks in masked:
        Image.open(case.image).save(folder / f"{case.identifier}.png")
        shapes = []
        for bone, mask in enumerate(masks):
            if bone % 3 == 2 and mask.any():
                rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                patch = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                buffer = io.BytesIO()
                Image.fromarray(patch.astype(np.uint8)).save(buffer, "PNG")
                corners = [[columns[0].item(), rows[0].item()], [columns[-1].item(), rows[-1].item()]]
                picture = base64.b64encode(buffer.getvalue()).decode()
                shapes.append(
                    {"label": BONE_NAMES[bone], "points": corners, "mask": picture, "shape_type": "mask"}
                )  # fmt: skip
                continue
            for x0, y0, x1, _, _, y1, *_ in staircase(mask):
                points = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
                kind = ("polygon", "rectangle")[bone % 3]
                shapes.append(
                    {"label": BONES[bone].display, "shape_type": kind, "points": points[::2] if bone % 3 else points}
                )
        height, width = masks.shape[1:]
        content = {"imagePath": f"{case.identifier}.png", "imageHeight": height, "imageWidth": width, "shapes": shapes}
        (folder / f"{case.identifier}.json").write_text(json.dumps(content))
    return folder


def small_coco(folder, names, segmentations=None, size=64, **image):
    """Write a COCO file of blank radiographs, on each of which one Capitate is drawn: a square, or what is given."""
    square = [[10, 10, 30, 10, 30, 30, 10, 30]]
    images, annotations = [], []
    for number, (name, segmentation) in enumerate(zip(names, segmentations or [square] * len(names), strict=True)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((size, size), number, np.uint8)).save(folder / name)
        images.append({"id": number, "file_name": name, **image})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "segmentation": segmentation})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "Capitate"}]}
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path
