"""Check the pixel data before decoding: size, decoder, and the header of a compressed image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.data.dicom.codestream import coded_image
from jointwrist.data.images import check_size
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset


def check_pixels(path: Path, dataset: Dataset) -> list[str]:
    """Refuse images that are too large or that no installed decoder reads, before a decoder reserves memory.

    Returns:
        Notes on doubtful statements of the header.

    Raises:
        DataError: The pixels cannot be decoded safely.
    """
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGExtended12Bit, JPEGLSTransferSyntaxes

    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows < 1 or columns < 1:
        raise DataError(f"{path}: an image of {columns} x {rows} pixels; export it again")
    check_size(path, columns, rows)
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return []
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    coded = coded_image(frame)
    try:
        decoders = set(get_decoder(syntax).available_plugins)
    except NotImplementedError:  # pydicom knows no decoder for this syntax, installed or not
        decoders = set()
    if syntax == JPEGExtended12Bit and coded is not None and coded.precision > 8:
        decoders.discard("pillow")  # it reads 8 bits only
    if not decoders:
        raise DataError(
            f"{path}: no decoder for {syntax.name}; in the checkout, pip install -e '.[dicom]' adds JPEG-LS and JPEG"
            " 2000, and pip install -e '.[gpl-codecs]' lossless JPEG and JPEG of 12 bits under the GPL; or convert it"
            " to an uncompressed one (dcmdjpeg of DCMTK)"
        )
    # without an end of image marker CharLS searches on for half a minute before it gives up
    if syntax in JPEGLSTransferSyntaxes and not frame.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise DataError(f"{path}: JPEG-LS image cut short; copy or export it again")
    stated_size = (rows, columns, int(dataset.SamplesPerPixel))
    if coded is not None and coded[:3] != stated_size:
        stated = f"header of {stated_size} (rows, columns, colours)"
        raise DataError(f"{path}: compressed image of {coded[:3]}, {stated}; export it again")
    if coded is not None and coded.precision < int(dataset.BitsStored):
        note = f"The compressed image has {coded.precision} bits, its header says {dataset.BitsStored}: a stored window"
        return [f"{note} may not fit, look at the overlay."]
    return []
