"""Mapping between a radiograph and the network's square image: images in; masks, boxes and heat maps back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from jointwrist.data.radiograph import Radiograph
from jointwrist.data.resample import enlarge_above, normalise_plane, resample
from jointwrist.inference.pixel_aspect import (
    resample_mask,
    scale_boxes,
    scale_crop,
    square_shape,
    with_square_pixels,
)
from jointwrist.inference.rotation import rotated, rotated_boxes


@dataclass(frozen=True)
class Placement:
    """The position of a wrist on a radiograph, with the mapping to the network's image and back.

    For the network, the wrist is cropped, resampled to square pixels, rotated until the fingers point upwards, mirrored
    if it is a left one, padded to a square with its darkest grey, and resized. The way back undoes all of this.

    Attributes:
        radiograph: The radiograph as it was taken.
        crop: Left, top, right and bottom of the part that shows the wrist, in pixels; None if all of it does.
        rotation: Degrees clockwise, 0, 90, 180 or 270, by which the radiograph must be rotated for the fingers to point
            upwards.
    """

    radiograph: Radiograph
    crop: tuple[int, int, int, int] | None = None
    rotation: int = 0

    @property
    def mirrored(self) -> bool:
        """Whether the wrist is mirrored for the network, which was trained on right hands only."""
        return self.radiograph.side == "L"

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of the wrist on the radiograph, in pixels."""
        height, width = self.radiograph.pixels.shape
        return self.crop or (0, 0, width, height)

    @property
    def shape(self) -> tuple[int, int]:
        """Return height and width of the wrist in pixels of the radiograph."""
        left, top, right, bottom = self.bounds
        return bottom - top, right - left

    def cropped(self) -> Radiograph:
        """Return the wrist as a separate radiograph, in the stored orientation."""
        if self.crop is None:
            return self.radiograph
        left, top, right, bottom = self.crop
        return replace(self.radiograph, pixels=self.radiograph.pixels[top:bottom, left:right])

    def upright(self) -> Radiograph:
        """Return the wrist as a separate radiograph with square pixels and the fingers upwards."""
        wrist = with_square_pixels(self.cropped())
        return replace(wrist, pixels=rotated(wrist.pixels, self.rotation)) if self.rotation else wrist

    def right_hand(self) -> np.ndarray:
        """Return the (h, w) pixels of the upright wrist as a right hand."""
        pixels = self.upright().pixels
        return pixels[:, ::-1].copy() if self.mirrored else pixels

    def image(self, size: int) -> np.ndarray:
        """Return the network's image, (1, size, size) float32 grey in [0, 1]."""
        pixels = self.right_hand()
        height, width = pixels.shape
        square, top, left = _padding(height, width)
        edges = ((top, square - height - top), (left, square - width - left))
        padded = np.pad(pixels, edges, constant_values=pixels.min())
        return resample(normalise_plane(padded), (size, size))[None]

    def masks_back(
        self, logits: np.ndarray, threshold: float, clean: Callable[[np.ndarray, int], np.ndarray] | None = None
    ) -> np.ndarray:
        """Map masks back from the network's image.

        Args:
            logits: (C, S, S) float32.
            threshold: Logit above which a pixel belongs to a bone.
            clean: Takes the (h, w) bool mask of a channel, on the pixels of `right_hand`, and returns what becomes of
                it; called with mask and channel.

        Returns:
            (C, H, W) bool on the radiograph.
        """
        height, width = self._upright_shape()
        square, top, left = _padding(height, width)
        window = slice(top, top + height), slice(left, left + width)
        masks = np.zeros((len(logits), *self.radiograph.pixels.shape), bool)
        x0, y0, x1, y1 = self.bounds
        for channel, plane in enumerate(logits):  # one at a time: a whole hand has 14 x 10 million pixels
            mask = enlarge_above(plane, square, threshold, window)
            mask = mask if clean is None else clean(mask, channel)
            mask = rotated(mask[:, ::-1] if self.mirrored else mask, -self.rotation)
            masks[channel, y0:y1, x0:x1] = resample_mask(mask, self.shape)
        return masks

    def boxes_back(self, boxes: np.ndarray, size: int) -> np.ndarray:
        """Map (N, 4) boxes x0, y0, x1, y1 from the network's image of `size` pixels to pixels of the radiograph."""
        height, width = self._upright_shape()
        square, top, left = _padding(height, width)
        boxes = boxes * (square / size) - np.array([left, top, left, top], np.float32)
        if self.mirrored:
            boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
        boxes = rotated_boxes(boxes, -self.rotation, (height, width))
        boxes = scale_boxes(boxes, square_shape(self.shape, self.radiograph.aspect), self.shape)
        return boxes + np.array([self.bounds[0], self.bounds[1]] * 2, boxes.dtype) if self.crop else boxes

    def lengths_back(self, size: int) -> float:
        """Return the number of pixels of `right_hand` that a pixel of the network's image of `size` pixels covers."""
        return max(self._upright_shape()) / size

    @property
    def native_pixels(self) -> float:
        """Return the radiograph's own pixels across the network's image; of oblong pixels, across their longer side."""
        return self.lengths_back(1) / max(self.radiograph.aspect, 1 / self.radiograph.aspect)

    def heat_maps_back(self, heat_maps: np.ndarray) -> np.ndarray:
        """Map (N, M, M) heat maps of boxes back to the orientation of the radiograph."""
        return rotated(heat_maps[..., ::-1] if self.mirrored else heat_maps, -self.rotation)

    def with_square_pixels(self) -> Placement:
        """Return the placement on the whole radiograph with square pixels."""
        radiograph = with_square_pixels(self.radiograph)
        shape, square = self.radiograph.pixels.shape, radiograph.pixels.shape
        return replace(self, radiograph=radiograph, crop=self.crop and scale_crop(self.crop, shape, square))

    def _upright_shape(self) -> tuple[int, int]:
        height, width = square_shape(self.shape, self.radiograph.aspect)
        return (width, height) if self.rotation in (90, 270) else (height, width)


def _padding(height: int, width: int) -> tuple[int, int, int]:
    """Return the side of the square that an image is padded to, and the rows above and columns left of the image."""
    square = max(height, width)
    return square, (square - height) // 2, (square - width) // 2
