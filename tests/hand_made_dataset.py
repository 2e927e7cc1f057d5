"""A small folder in the released layout, written by hand: independent of the phantom's writer and of the reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from openpyxl import Workbook
from PIL import Image

SCORED = {"Metacarpal1st": 0, "Trapzium": 0, "Scaphoid": 2, "Lunate": 0, "DistalRadius": 0, "DistalUlna": 5}
CROPS = ("DistalRadius", "DistalUlna", "Lunate", "Metacarpal1st", "Scaphoid", "Trapzium")
#: identifier: (side in pixels, colour BMP, mask type and split or None, erosion split or None)
WRISTS = {
    "0172_0003_L": (60, False, (np.uint8, "train"), "train"),
    "0172_0003_R": (60, True, (np.bool_, "train"), None),
    "0201_0001_R": (65, True, (np.float64, "val"), "val"),
    "0300_0002_L": (72, False, (np.int64, "test"), "test"),
    "0301_0001_R": (60, False, None, "train"),
    "0302_0001_L": (60, True, None, "test"),
    "EXT_0009_0001_L": (72, True, (np.float32, "train"), None),
}
SPACINGS = {"0172_0003": "0.15", "0201_0001": "[0.175, 0.175]", "0300_0002": 0.2, "0301_0001": None}


def pixels(identifier: str) -> np.ndarray:
    """The radiograph: a ramp, so that a flip shows, that starts at another grey in every wrist."""
    side, start = WRISTS[identifier][0], 7 * list(WRISTS).index(identifier)
    return ((start + np.add.outer(np.arange(side), 2 * np.arange(side))) % 256).astype(np.uint8)


def masks(identifier: str) -> np.ndarray:
    """(14, H, W) bool: overlapping bars that move right from bone to bone."""
    side = WRISTS[identifier][0]
    found = np.zeros((14, side, side), bool)
    for bone in range(14):
        found[bone, bone : bone + 20, 3 * bone : 3 * bone + 8] = True
    return found


def box(joint: int) -> list[float]:
    """COCO box of a joint: x, y, width, height."""
    return [2.0 + joint, 3.0 + 2 * joint, 20.5, 16.0]


def save_bmp(path: Path, array: np.ndarray, colour: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image.convert("RGB") if colour else image).save(path)


def save_mask(root: Path, split: str, identifier: str, array: np.ndarray) -> Path:
    path = root / "BoneSegmentation" / "masks" / split / f"{identifier}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def scores_file(root: Path) -> Path:
    return root / "SvdHBEScoreClassification" / "JointBE_SvdH_GT.json"


def boxes_file(root: Path) -> Path:
    return root / "JointLocationDetection" / "Joints.coco.json"


def build(root: Path) -> Path:
    """Write the folder."""
    rows, images, annotations = [], [], []
    for identifier, (_, colour, mask, erosion_split) in WRISTS.items():
        radiograph = pixels(identifier)
        if mask:
            save_bmp(root / "BoneSegmentation" / "images" / f"{identifier}.bmp", radiograph, colour)
            save_mask(root, mask[1], identifier, masks(identifier).astype(mask[0]))
        if erosion_split:
            save_bmp(root / "JointLocationDetection" / "images" / f"{identifier}.bmp", radiograph, colour)
            for number, name in enumerate(CROPS):
                crop = radiograph[number : number + 14 + number, 5:25]
                save_bmp(scores_file(root).parent / erosion_split / identifier / f"{name}.bmp", crop, colour)
            rows.append({"identifier": identifier, "joints": SCORED})
            images.append(
                {
                    "id": len(images),
                    "file_name": f"{identifier}.bmp",
                    "width": len(radiograph),
                    "height": len(radiograph),
                }
            )
            for joint in range(6):
                annotations.append(
                    {"id": len(annotations), "image_id": len(images) - 1, "category_id": joint + 1, "bbox": box(joint)}
                )
    names = ["joints", "MC1", "trapezium", "Scaphoid", "lunate", "Distal Radius", "Ulna"]  # 0: an unused parent
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    scores_file(root).write_text(json.dumps(rows))
    boxes_file(root).write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    write_metadata(root, SPACINGS)
    return root


def write_metadata(root: Path, spacings: dict[str, object]) -> None:
    book = Workbook()
    sheet = book.active
    sheet.append(["NormalizedPatientID", "Mapped Image Stem", "PatientAge", "PixelSpacing", "1st MC_L"])
    for stem, spacing in spacings.items():
        sheet.append([stem[:4], stem, 60, spacing, 0])
    book.save(root / "Metadata.xlsx")
