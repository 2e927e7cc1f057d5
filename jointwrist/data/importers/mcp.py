"""Import radiographs of metacarpophalangeal joints with masks of both bones, such as those of BLS-GAN (AAAI 2025)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jointwrist.anatomy import load_anatomy
from jointwrist.data.dataset.layout import SPLITS, Identifier
from jointwrist.data.dataset.writer import DatasetWriter
from jointwrist.data.images import read_image
from jointwrist.data.importers.draw_splits import SHARES, draw_splits
from jointwrist.data.importers.identify import Entry
from jointwrist.data.importers.visible_files import is_visible
from jointwrist.data.mask_formats.png import read_png
from jointwrist.errors import DataError
from jointwrist.files import refuse_filled, whole_folder
from jointwrist.renamed_names import former_attribute, former_names

#: `JOINT_FINGER_VISIT_SIDE`; the joint is one of one hand, whose visits are in no known order.
_NAME = re.compile(r"(?P<joint>[A-Za-z0-9-]+)_(?P<finger>\d+)_(?P<visit>\d+)_(?P<side>[LR])")
_MASKS = "_masks.png"


@dataclass(frozen=True)
class ImportedRadiographs:
    """Summary of an import: radiographs by split, number of joints, and radiographs with overlapping bones."""

    radiographs: Mapping[str, int]
    joints: int
    overlapping: int
    films = former_attribute("films", "radiographs")


def import_mcp(
    root: str | Path, out: str | Path, shares: Sequence[float] = SHARES, seed: int = 0
) -> ImportedRadiographs:
    """Write the radiographs of a folder and their masks as a dataset of the anatomy `mcp`.

    All radiographs of a joint are in one split. It is unknown which joints belong to the same patient.

    Args:
        root: Folder of `JOINT_FINGER_VISIT_SIDE.jpg` and `..._masks.png`, 8 bits, of which bit 0 is the upper and bit 1
            the lower bone; or the folder that holds it as `films`.
        out: Folder to write; must be empty or missing.
        shares: Shares of the joints in train, val and test.
        seed: Seed of the draw.

    Raises:
        DataError: The folder is not empty, or a file is missing, damaged or not of that layout.
    """
    root, out = Path(root), Path(out)
    refuse_filled(out)
    folder = root / "films" if (root / "films").is_dir() else root
    images = sorted(path for path in folder.glob("*.jpg") if is_visible(path.name))
    if not images:
        raise DataError(f"{folder}: holds no radiographs JOINT_FINGER_VISIT_SIDE.jpg; name the folder that does")
    entries = [Entry(_identifier(image)) for image in images]
    splits = draw_splits(entries, shares, seed)
    overlapping = 0
    with whole_folder(out) as partial:
        writer = DatasetWriter(partial, load_anatomy("mcp"))
        progress = tqdm(images, "import", unit="radiograph", disable=None, leave=False)
        for image, entry in zip(progress, entries, strict=True):
            masks = _read_masks(image)
            overlapping += bool(masks.all(0).any())
            writer.add_masks(entry.name, splits[entry.identifier.patient], image, masks)
    counts = {split: sum(splits[entry.identifier.patient] == split for entry in entries) for split in SPLITS}
    return ImportedRadiographs(counts, len(splits), overlapping)


def _identifier(image: Path) -> Identifier:
    match = _NAME.fullmatch(image.stem)
    if match is None:
        raise DataError(f"{image}: its name is not JOINT_FINGER_VISIT_SIDE, as in 00000_5_1_L")
    return Identifier(f"{match['joint']}-{match['finger']}", f"{int(match['visit']):04d}", match["side"])


def _read_masks(image: Path) -> np.ndarray:
    """Read the (2, H, W) bool masks of a radiograph.

    Raises:
        DataError: The masks are missing, of another size, or use other bits.
    """
    path = image.with_name(image.stem + _MASKS)
    size = read_image(image).shape
    bits = read_png(path)
    if bits.shape != size:
        raise DataError(
            f"{path}: {bits.shape} pixels (height, width), its radiograph {size};"
            " give masks of the size of the radiograph"
        )
    if bits.max() > 3:
        raise DataError(f"{path}: uses other bits than 0 (upper bone) and 1 (lower bone); write values from 0 to 3")
    return np.stack([bits & 1, bits & 2]).astype(bool)


__getattr__ = former_names(__name__, Films="ImportedRadiographs")
