"""A small release whose radiographs are not square and whose masks have holes, several pieces and missing bones."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from jointwrist.data.images import read_image

#: Height and width of the radiographs.
SIZE = (120, 97)


def odd_masks(masks: np.ndarray, number: int) -> np.ndarray:
    """Take (14, 128, 128) masks to (14, *SIZE); a hole, a stray piece and missing bones by turns."""
    masks = masks[:, : SIZE[0], 20 : 20 + SIZE[1]].copy()
    rows, columns = np.nonzero(masks[0])
    centre = (
        slice(rows[len(rows) // 2] - 1, rows[len(rows) // 2] + 2),
        slice(*np.percentile(columns, (40, 60)).astype(int)),
    )
    masks[0][centre] = False
    masks[5][2:5, 3:9] = True
    masks[5][5, 9] = True
    masks[number % 14] = False
    return masks


def write_odd_dataset(root, masked):
    """Write radiographs and masks in the released layout; returns the masks by identifier."""
    written = {}
    for number, (case, masks) in enumerate(masked):
        split = ("train", "val", "test")[number % 3]
        odd = odd_masks(masks, number + 1)
        image = read_image(case.image)[: SIZE[0], 20 : 20 + SIZE[1]]
        for folder in ("images", f"masks/{split}"):
            (root / "BoneSegmentation" / folder).mkdir(parents=True, exist_ok=True)
        name = f"{1000 + number}_0001_{'LR'[number % 2]}"
        Image.fromarray(np.round(image * 255).astype(np.uint8)).save(
            root / "BoneSegmentation" / "images" / f"{name}.png"
        )
        np.save(root / "BoneSegmentation" / "masks" / split / f"{name}.npy", odd.astype(np.uint8))
        written[name] = odd
    return written


def write_results(path, instances):
    """Write a file of COCO instances as results: images by file name, categories by number."""
    content = json.loads(instances.read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    results = [
        {"image_id": names[drawn["image_id"]], "category_id": drawn["category_id"], "score": 0.9}
        | {"segmentation": drawn["segmentation"]}
        for drawn in content["annotations"]
    ]
    path.write_text(json.dumps(results))
