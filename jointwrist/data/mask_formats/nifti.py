"""NIfTI (nifti.nimh.nih.gov): a stack of masks, one file per bone in a folder, or a label map.

The first axis of a NIfTI array is x, the second y, as in nibabel, ITK and MONAI: an array (H, W) from NumPy is stored
transposed. Rows run downwards, whatever the affine states; only its pixel spacing is used, and `write` writes the
affine that ITK gives to a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.mask_formats.label_map import by_number
from jointwrist.data.mask_formats.layers import Layer, Named, Spacing, as_binary, pixel_size
from jointwrist.data.numpy_files import MAX_ARRAY_BYTES
from jointwrist.errors import DataError, require
from jointwrist.files import atomic
from jointwrist.readable import why_unreadable

SUFFIXES = (".nii.gz", ".nii")
#: Name of the radiograph itself in a folder of masks.
RADIOGRAPH = "film"


def read(path: Path, size: tuple[int, int] | None = None, anatomy: Anatomy = WRIST) -> list[Named]:
    """Read a stack of masks in the order of the bones, a label map, or a folder with one file per bone.

    Args:
        path: File or folder. In a folder the file names without ending are the bones' names; `film`, the
            radiograph, is left out.
        size: Ignored; for the same signature as other formats.
        anatomy: The bones.

    Raises:
        DataError: The file is damaged, or holds something else; the message names it.
        MissingExtraError: nibabel is not installed.
    """
    if path.is_dir():
        return [(name, as_binary(_one_plane(file), name, file)) for name, file in bone_files(path).items()]
    values, bones = _planes(path), anatomy.bone_names
    if values.ndim == 2:
        return by_number(values, path, anatomy)
    if values.shape[2] != len(bones):
        raise DataError(f"{path}: {values.shape[2]} masks, not {len(bones)}; write those of all bones, empty ones too")
    return [(name, as_binary(values[..., bone], name, path)) for bone, name in enumerate(bones)]


def bone_files(folder: Path) -> dict[str, Path]:
    """List the NIfTI files of a folder by name without extension, except the radiograph."""
    files = sorted(path for path in folder.iterdir() if is_nifti(path))
    named = {stem(path): path for path in files}
    if len(named) < len(files):
        raise DataError(f"{folder}: holds a bone twice, as .nii and as .nii.gz; keep one of the files")
    return {name: path for name, path in named.items() if name != RADIOGRAPH}


def is_nifti(path: Path) -> bool:
    """Whether a file has a NIfTI extension."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()


def stem(path: Path) -> str:
    """Return a file name without its NIfTI extension."""
    return next(path.name[: -len(suffix)] for suffix in SUFFIXES if path.name.lower().endswith(suffix))


def is_mirrored(path: Path) -> bool:
    """Whether one of the axes x and y of a readable file or folder points the other way than in a picture.

    It is so after dcm2niix, which stores rows upwards; an affine of ones and that of ITK differ by half a turn.
    """
    nibabel = require("nibabel", "formats")
    files = bone_files(path).values() if path.is_dir() else [path]
    return any(np.linalg.det(nibabel.load(file).affine[:2, :2]) < 0 for file in files)


def write_stack(path: Path, bits: np.ndarray, spacing_mm: Spacing | None = None, bones: int = len(WRIST.bones)) -> None:
    """Write a (H, W) bit map as a stack (W, H, 1, bones) of 0 and 1 in the order of the bones, whole or not at all."""
    planes = [(bits >> bits.dtype.type(bone)) & 1 for bone in range(bones)]
    _save(path, np.stack(planes, axis=-1).transpose(1, 0, 2)[:, :, None], spacing_mm)


def write_folder(folder: Path, layers: Sequence[Layer], spacing_mm: Spacing | None = None) -> None:
    """Write one file (W, H, 1) per region into a folder; bones without pixels have none."""
    folder.mkdir(parents=True, exist_ok=True)
    for layer in layers:
        _save(folder / f"{layer.name}.nii.gz", layer.mask.T[..., None], spacing_mm)


def write_radiograph(folder: Path, image: np.ndarray, spacing_mm: Spacing | None = None) -> None:
    """Write a (H, W) radiograph with values in [0, 1] as 8-bit grey into the folder of its masks."""
    _save(folder / f"{RADIOGRAPH}.nii.gz", np.round(image * 255).T[..., None], spacing_mm)


def _save(path: Path, values: np.ndarray, spacing_mm: Spacing | None) -> None:
    nibabel = require("nibabel", "formats")
    height, width = pixel_size(spacing_mm)
    # ITK counts x to the left and y to the back of the patient, NIfTI to the right and to the front
    affine = np.diag([-width, -height, 1.0, 1.0])
    image = nibabel.Nifti1Image(np.ascontiguousarray(values, np.uint8), affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    ending = ".nii.gz" if path.name.endswith(".gz") else ".nii"
    with atomic(path) as temporary:
        # nibabel chooses the compression by the extension
        whole = temporary.with_name(temporary.name + ending)
        try:
            nibabel.save(image, whole)
            whole.rename(temporary)
        finally:
            whole.unlink(missing_ok=True)


def _planes(path: Path) -> np.ndarray:
    """Read (H, W) values, or (H, W, C) of several masks."""
    nibabel = require("nibabel", "formats")
    try:
        image = nibabel.load(path)
        shape = image.shape
        if np.prod(shape, dtype=float) * 8 > MAX_ARRAY_BYTES:
            raise DataError(
                f"{path}: {' x '.join(map(str, shape))} values are too many; store the masks of one radiograph"
            )
        values = np.asanyarray(image.dataobj)
    except DataError:
        raise
    except Exception as error:  # nibabel, gzip and zlib raise several kinds on damaged files
        damage = f"damaged NIfTI file ({error}); write it again"
        raise DataError(f"{path}: {why_unreadable(path) or damage}") from error
    if values.dtype.kind not in "biuf":
        raise DataError(f"{path}: values of type {values.dtype}; store 0 and 1")
    long = [axis for axis in range(2, values.ndim) if shape[axis] != 1]
    if values.ndim < 2 or len(long) > 1:
        raise DataError(
            f"{path}: an array of {shape} is not (x, y), nor (x, y, bone) with axes of length 1; write it as one of"
            " these"
        )
    values = values.reshape(shape[0], shape[1], *(shape[axis] for axis in long))
    return values.swapaxes(0, 1)


def _one_plane(path: Path) -> np.ndarray:
    values = _planes(path)
    if values.ndim != 2:
        raise DataError(f"{path}: holds {values.shape[2]} planes, not the mask of one bone; write a file for each bone")
    return values
