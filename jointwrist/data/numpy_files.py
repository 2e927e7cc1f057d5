"""Read untrusted NumPy files safely: without unpickling, and with bounded memory."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from jointwrist.data.faults import Fault, refuse
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: Largest array, or sum of the arrays of one npz file: 14 masks of 6000 x 6000 pixels in uint8.
MAX_ARRAY_BYTES = 2**29


def read_npy(path: str | Path) -> np.ndarray:
    """Read an npy file.

    Raises:
        DataError: The file is missing, damaged, shorter than its header says, holds Python objects, or is larger than
            `MAX_ARRAY_BYTES`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: {why_unreadable(path)}")
    try:
        # mapping reads no values, but compares the header with the size of the file
        size = np.lib.format.open_memmap(path, mode="r").nbytes
        if size <= MAX_ARRAY_BYTES:
            return np.load(path, allow_pickle=False)
    except Exception as error:  # numpy raises several kinds on damaged headers
        kind = "pickled array" if "Python objects" in str(error) else "unreadable array"
        reason = getattr(error, "strerror", None) or error  # the text of a system error repeats the path
        damage = f"not a whole, plain npy array ({reason}); write it again with numpy.save"
        refuse(Fault(kind, path, why_unreadable(path) or damage))
    raise DataError(f"{path}: {size:,} bytes are more than the {MAX_ARRAY_BYTES:,} allowed; store uint8")


def read_npz(path: str | Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Read named arrays of an npz file; missing names are left out.

    Raises:
        DataError: The file is damaged, holds Python objects, or more than `MAX_ARRAY_BYTES` uncompressed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: {why_unreadable(path)}")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size <= MAX_ARRAY_BYTES:
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in names if name in arrays}
            # numpy returns the bytes of a member that is not an array
            foreign = [name for name, value in found.items() if not isinstance(value, np.ndarray)]
            if foreign:
                raise ValueError(f"{', '.join(foreign)}: not an npy array")
            return found
    except Exception as error:  # zipfile and zlib raise several kinds on damaged files
        damage = f"damaged npz file ({error}); write it again"
        refuse(Fault("unreadable array", path, why_unreadable(path) or damage))
    raise DataError(
        f"{path}: {size:,} bytes uncompressed are more than the {MAX_ARRAY_BYTES:,} allowed; write smaller arrays"
    )
