"""Grey values of radiographs that are stored in colour, as by programs that capture a screen or digitise films.

Red, green and blue are equal then, or nearly so after a compression with loss. Images with more than a few coloured
pixels, as of overlays, are refused: what is drawn over the bones would be read as bone.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.pixels import apply_color_lut, get_decoder

from jointwrist.data.dicom.grayscale import Grey
from jointwrist.data.dicom.shutter import hidden_pixels
from jointwrist.data.dicom.stored_values import PixelError, native_bytes, only_frame, refuse_more_rows

#: Difference between the channels of a pixel, of 255, from which it is coloured, and the largest share of such pixels.
_DIFFERENCE, _SHARE = 24, 0.001


def in_colour(dataset: Dataset) -> bool:
    """Whether an image is stored in colour."""
    return not str(dataset.PhotometricInterpretation).startswith("MONOCHROME")


def colour_to_grey(dataset: Dataset, window: int = 0) -> Grey:
    """Return the luminance (ITU-R BT.601) of a radiograph that is stored in colour; such images have no window.

    Args:
        dataset: Image with its transfer syntax in `file_meta`.
        window: Must be 0.

    Raises:
        PixelError: A channel has other than 8 bits, pixels are missing or left over, more than a thousandth of them is
            coloured, or a window was chosen.
    """
    if window:
        raise PixelError(f"there is no window {window}; a colour image has none")
    kind = str(dataset.PhotometricInterpretation)
    channels = _channels(dataset, kind)
    coloured = float((np.ptp(channels, -1) > _DIFFERENCE).mean())
    if coloured > _SHARE:
        raise PixelError(
            f"{100 * coloured:.1f} % of the pixels of this colour image ({kind}) are not grey; give the radiograph"
            " without overlays"
        )
    grey = np.asarray(Image.fromarray(channels).convert("L"), np.float32) / 255
    if (hidden := hidden_pixels(dataset, grey.shape, None)) is not None:
        grey[hidden] = 0
    return Grey(grey, (f"A radiograph stored in colour ({kind}): its luminance is used.",), (0.0, 255.0))


def _channels(dataset: Dataset, kind: str) -> np.ndarray:
    """Decode to (H, W, 3) uint8 of red, green and blue."""
    allocated, bits, syntax = int(dataset.BitsAllocated), int(dataset.BitsStored), dataset.file_meta.TransferSyntaxUID
    palette = kind == "PALETTE COLOR"
    if allocated != bits or bits not in ((8, 16) if palette else (8,)):
        raise PixelError(
            f"a colour image ({kind}) with {bits} of {allocated} bits a channel; export it as a grey radiograph"
        )
    if syntax.is_compressed:
        refuse_more_rows(only_frame(dataset.PixelData), dataset)
    else:
        native_bytes(dataset, 2 if kind == "YBR_FULL_422" else int(dataset.SamplesPerPixel) * allocated // 8)
    if palette:
        _check_palette(dataset)
        pixels = apply_color_lut(get_decoder(syntax).as_array(dataset, index=0)[0], dataset)
    elif syntax.is_compressed or kind == "YBR_FULL_422":
        # interleaved, whatever PlanarConfiguration says (PS3.3, C.7.6.3.1.3); the decoder of RLE orders its planes
        pixels = _decoded(dataset, 0)
    elif dataset.get("PlanarConfiguration") in (0, 1):
        pixels = _decoded(dataset, int(dataset.PlanarConfiguration))
    else:
        pixels = _by_equal_channels(dataset)
    if pixels.dtype == np.uint16:
        # tables of 16 bits with values of 8, which would all be black
        pixels = (pixels >> 8 if pixels.max() > 255 else pixels).astype(np.uint8)
    return pixels


def _decoded(dataset: Dataset, order: int) -> np.ndarray:
    """Decode with interleaved channels (0) or channel by channel (1)."""
    return get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, index=0, planar_configuration=order)[0]


def _by_equal_channels(dataset: Dataset) -> np.ndarray:
    """Decode uncompressed pixels of an unstated order, which is the one with equal channels.

    Raises:
        PixelError: Neither order has.
    """
    for order in (0, 1):
        pixels = _decoded(dataset, order)
        if not np.ptp(pixels, -1).any():
            return pixels
    raise PixelError("a colour image that does not state the order of its channels; export it as a grey radiograph")


def _check_palette(dataset: Dataset) -> None:
    """Refuse tables of another length than their descriptors state, such as entries of 8 bits in words.

    Raises:
        PixelError: A table is longer or shorter.
    """
    for colour in ("Red", "Green", "Blue"):
        table = dataset.get(f"{colour}PaletteColorLookupTableData")
        if table is None:  # in segments, or missing
            continue
        entries, _, bits = dataset[f"{colour}PaletteColorLookupTableDescriptor"].value
        expected = (entries or 2**16) * bits // 8
        if len(table) not in (expected, expected + expected % 2):
            raise PixelError(
                f"a palette of {len(table)} bytes, where its descriptor states {entries or 2**16} entries of {bits}"
                " bits; export it as a grey radiograph"
            )
