"""Write the masks of a result in the formats of other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jointwrist.data.mask_formats import nifti, seg_nrrd
from jointwrist.data.mask_formats.layers import layers_of
from jointwrist.data.sample import pack_masks

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult


class MaskFile(NamedTuple):
    """A file format for masks.

    Attributes:
        ending: Suffix of the file name.
        package: Module that must be importable.
        save: Function that writes the masks of a result to a path.
    """

    ending: str
    package: str
    save: Callable[[WristResult, Path], None]


def save_seg_nrrd(result: WristResult, path: Path) -> None:
    """Write the bones found as a 3D Slicer segmentation, one layer each, with names, colours and pixel spacing."""
    seg_nrrd.write(
        path, layers_of(pack_masks(result.masks), anatomy=result.anatomy), result.masks.shape[1:], _pixel_size(result)
    )


def save_nifti(result: WristResult, path: Path) -> None:
    """Write the masks as a NIfTI stack (W, H, 1, C) in the order of the bones, with the pixel spacing."""
    nifti.write_stack(path, pack_masks(result.masks), _pixel_size(result), len(result.masks))


def _pixel_size(result: WristResult) -> tuple[float, float]:
    """Return height and width of a pixel in mm; if they are unknown, the width is 1."""
    return result.radiograph.pixel_mm or (result.radiograph.aspect, 1.0)


#: Formats by the names of `jointwrist predict --also`.
MASK_FILES = {
    "nrrd": MaskFile("_masks.seg.nrrd", "nrrd", save_seg_nrrd),
    "nifti": MaskFile("_masks.nii.gz", "nibabel", save_nifti),
}
