"""Grey images in picture files (BMP, PNG, JPEG, TIFF) and NumPy arrays."""

from jointwrist.data.images.read import (
    IMAGE_SUFFIXES,
    MAX_SIDE,
    check_size,
    is_rotated,
    read_image,
    stated_resolution,
    write_image,
)

__all__ = ["IMAGE_SUFFIXES", "MAX_SIDE", "check_size", "is_rotated", "read_image", "stated_resolution", "write_image"]
