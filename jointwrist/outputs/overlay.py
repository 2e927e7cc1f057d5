"""The overlay of a prediction: bones in colour with their names, numbered joints, and a legend."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.result import WristResult
from jointwrist.ops.outlines import bounding_box
from jointwrist.outputs.labels import NAME_POINTS, bone_names, joint_labels
from jointwrist.outputs.overlay_panel import BACKGROUND, PANEL_WIDTH, TEXT, draw_panel, joint_colour

RADIOGRAPH_SIDE = 960
NUMBER_ROOM = 44
FILL = 0.28
LINE_WIDTH = 2.2


def draw_overlay(result: WristResult, side: int = RADIOGRAPH_SIDE) -> Image.Image:
    """Draw a prediction.

    Args:
        result: Prediction in radiograph orientation.
        side: Longer side of the radiograph in the picture, in pixels.

    Returns:
        RGB picture: the radiograph with the bones found in colour and a numbered leader line to each joint found; a
            legend on its right.
    """
    size = shown_size(result.radiograph, side)
    radiograph = paint_masks(result.radiograph.pixels, result.masks, size, anatomy=result.anatomy)
    picture = Image.fromarray((radiograph * 255 + 0.5).astype(np.uint8))
    _draw_labels(picture, result)
    panel = draw_panel(result, minimum_height=size[1])
    sheet = Image.new("RGB", (size[0] + PANEL_WIDTH, panel.height), BACKGROUND)
    sheet.paste(picture, (0, (panel.height - size[1]) // 2))
    sheet.paste(panel, (size[0], 0))
    return sheet


def shown_size(radiograph: Radiograph, side: int) -> tuple[int, int]:
    """Return width and height of a picture whose longer side has `side` pixels, with oblong pixels made square."""
    height, width = radiograph.pixels.shape
    scale = side / max(height * radiograph.aspect, width)
    return max(round(width * scale), 1), max(round(height * radiograph.aspect * scale), 1)


def paint_masks(
    image: np.ndarray,
    masks: np.ndarray,
    size: tuple[int, int],
    fill: float = FILL,
    line_width: float = LINE_WIDTH,
    anatomy: Anatomy = WRIST,
) -> np.ndarray:
    """Colour the bones on a radiograph.

    Args:
        image: (H, W) float in [0, 1].
        masks: (C, H, W) bool.
        size: Width and height of the picture in pixels.
        fill: Opacity inside a bone.
        line_width: Width of the contours in pixels of the picture.
        anatomy: The bones, C, with their colours.

    Returns:
        (height, width, 3) float32 in [0, 1].
    """
    grey = Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    canvas = np.repeat(np.clip(np.asarray(grey), 0, 1)[..., None], 3, axis=2)
    smoothing = max(1.2, 0.8 * size[0] / image.shape[1])
    for bone in anatomy.bones:
        window, inside, line = _soft_mask(masks[bone.index], size, smoothing, line_width)
        if window is None:
            continue
        colour = np.asarray(bone.colour, np.float32) / 255
        region = canvas[window]
        for opacity in (fill * inside, 0.9 * line):
            region += opacity[..., None] * (colour - region)
    return canvas


def _soft_mask(mask: np.ndarray, size: tuple[int, int], smoothing: float, line_width: float):
    """Return the antialiased interior and contour of a mask at the size of the picture, and the window they fill."""
    if not mask.any():
        return None, None, None
    scale = np.array(size[::-1]) / mask.shape
    box = np.array([[side.start, side.stop] for side in bounding_box(mask)]) * scale[:, None]
    pad = 4 * smoothing + 2 + np.maximum(scale, 1)[:, None]
    first, last = np.clip(np.rint(box + pad * [-1, 1]), 0, np.array(size[::-1])[:, None]).astype(int).T
    source = (*(first / scale)[::-1], *np.minimum(last / scale, mask.shape)[::-1])
    whole = Image.fromarray(mask.astype(np.uint8) * 255)
    enlarged = np.asarray(whole.resize(tuple((last - first)[::-1].tolist()), Image.Resampling.BILINEAR, source))
    level = gaussian_filter(enlarged.astype(np.float32) / 255, smoothing, mode="nearest")
    # first-order distance to the half level, in pixels of the picture
    slope = np.hypot(*np.gradient(level)) if min(level.shape) > 1 else np.zeros_like(level)
    distance = (level - 0.5) / np.maximum(slope, 1e-4)
    window = tuple(slice(start, stop) for start, stop in zip(first, last, strict=True))
    return window, np.clip(distance + 0.5, 0, 1), np.clip(line_width / 2 + 0.5 - np.abs(distance), 0, 1)


def _draw_labels(picture: Image.Image, result: WristResult) -> None:
    """Draw the bones' names and the joints' numbers with leader lines, at twice the size for smooth edges."""
    layer = Image.new("RGBA", (picture.width * 2, picture.height * 2))
    draw = ImageDraw.Draw(layer)
    scale = np.array(layer.size) / result.radiograph.pixels.shape[::-1]
    font = ImageFont.load_default(2 * NAME_POINTS)
    labels = joint_labels(result, 2 * NUMBER_ROOM / max(scale))
    for name in bone_names(result, scale / 2, labels):
        draw.multiline_text(
            tuple(name.middle * scale), name.text, (*TEXT, 230), font, "mm", align="center",
            stroke_width=3, stroke_fill=(*BACKGROUND, 120),
        )  # fmt: skip
    font = ImageFont.load_default(28)
    for label in labels:
        colour = joint_colour(result, label.joint)
        x, y = label.number * scale
        draw.line([(x, y), tuple(label.tip * scale)], fill=(*BACKGROUND, 150), width=7)
        draw.line([(x, y), tuple(label.tip * scale)], fill=(*colour, 255), width=3)
        draw.ellipse([x - 20, y - 20, x + 20, y + 20], fill=(*BACKGROUND, 255), outline=(*colour, 255), width=3)
        draw.text((x, y), str(label.joint + 1), fill=(*TEXT, 255), font=font, anchor="mm")
    layer = layer.resize(picture.size, Image.Resampling.BOX)
    picture.paste(layer, (0, 0), layer)
