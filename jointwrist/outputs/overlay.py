"""The overlay of a prediction: bones in colour with their names, numbered joints, and a legend."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.result import WristResult
from jointwrist.inference.scope.report import OUTSIDE, Limit
from jointwrist.ops.outlines import bounding_box
from jointwrist.outputs.labels import NAME_POINTS, bone_names, joint_labels
from jointwrist.text import NOTICE

RADIOGRAPH_SIDE = 960
PANEL_WIDTH = 360
MARGIN = 24
NUMBER_ROOM = 44
FILL = 0.28
LINE_WIDTH = 2.2
BACKGROUND, TEXT, FAINT = (20, 22, 27), (236, 238, 242), (128, 134, 146)
HEALTHY, ERODED, CAUTION = (120, 200, 190), (255, 112, 92), (240, 190, 90)


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
    panel = _draw_panel(result, minimum_height=size[1])
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
        colour = _joint_colour(result, label.joint)
        x, y = label.number * scale
        draw.line([(x, y), tuple(label.tip * scale)], fill=(*BACKGROUND, 150), width=7)
        draw.line([(x, y), tuple(label.tip * scale)], fill=(*colour, 255), width=3)
        draw.ellipse([x - 20, y - 20, x + 20, y + 20], fill=(*BACKGROUND, 255), outline=(*colour, 255), width=3)
        draw.text((x, y), str(label.joint + 1), fill=(*TEXT, 255), font=font, anchor="mm")
    layer = layer.resize(picture.size, Image.Resampling.BOX)
    picture.paste(layer, (0, 0), layer)


def _with_spread(result: WristResult, joint: int) -> str:
    """Return the probability, with its standard deviation over augmented views if available."""
    text = f"{result.probabilities[joint]:.2f}"
    if result.uncertainty is None or np.isnan(result.uncertainty.probability_sd[joint]):
        return text
    return f"{text} ± {result.uncertainty.probability_sd[joint]:.2f}"


def _joint_colour(result: WristResult, joint: int) -> tuple[int, int, int]:
    if result.withheld[joint]:
        return CAUTION
    return ERODED if result.eroded[joint] else HEALTHY


def _draw_panel(result: WristResult, minimum_height: int) -> Image.Image:
    large, normal, small = (ImageFont.load_default(points) for points in (20, 16, 13))
    panel = Image.new("RGB", (PANEL_WIDTH, 2 * minimum_height + 2000), BACKGROUND)
    draw = ImageDraw.Draw(panel)
    right = PANEL_WIDTH - MARGIN
    y = MARGIN

    def line(text: str, font: ImageFont.FreeTypeFont, colour: tuple[int, int, int] = TEXT, step: int = 24) -> None:
        nonlocal y
        draw.text((MARGIN, y), _fit(text, font, right - MARGIN), fill=colour, font=font)
        y += step

    line(result.name, large, step=30)
    hand = "left hand" if result.side == "L" else "right hand"
    facts = [hand if result.anatomy.sides else "", result.model]
    if result.radiograph.pixel_mm is not None:
        sides = dict.fromkeys(f"{side:.3g}" for side in result.radiograph.pixel_mm)
        facts.append(f"{' x '.join(sides)} mm/px")
    line(", ".join(fact for fact in facts if fact), small, FAINT, step=17 if result.weight_file else 32)
    if result.weight_file:
        line(f"weights {result.weight_file}", small, FAINT, step=32)

    line(f"Bones found: {len(result.bones)} of {len(result.masks)}", normal, step=28)
    for bone, found in zip(result.anatomy.bones, result.found, strict=True):
        limits = result.scope.bones[bone.index] if result.scope else ()
        box = [MARGIN, y + 3, MARGIN + 16, y + 15]
        draw.rectangle(box, fill=bone.colour if found else None, outline=bone.colour)
        text = bone.display if found else f"{bone.display} (not found)"
        draw.text((MARGIN + 28, y), text, fill=TEXT if found else FAINT, font=normal)
        if limits:
            draw.text((right, y + 2), _short(limits), fill=CAUTION, font=small, anchor="ra")
        y += 23
    y += 18

    if result.scored.any() or result.withheld.any():
        line("Erosion, probability and score", normal, step=26)
        for warning in result.score_warnings:
            for part in textwrap.wrap(warning, 44):
                line(part, small, CAUTION, step=17)
            y += 2
        y += 4
        if result.scored.any():
            _draw_key(draw, y, small, result.threshold)
            y += 28
        for joint in result.anatomy.eroded_joints:
            name = f"{joint.index + 1}  {joint.display}"
            if not result.scored[joint.index]:
                withheld = result.withheld[joint.index]
                draw.text((MARGIN, y), name if withheld else f"{name} (not found)", fill=FAINT, font=normal)
                if withheld:
                    text = f"withheld: {_short(result.limits(joint.index))}"
                    draw.text((right, y + 19), text, fill=CAUTION, font=small, anchor="ra")
                y += 38
                continue
            probability, colour = float(result.probabilities[joint.index]), _joint_colour(result, joint.index)
            draw.text((MARGIN, y), name, fill=TEXT, font=normal)
            label = result.anatomy.erosion.labels[result.scores[joint.index]]
            value = f"{_with_spread(result, joint.index)}   score {label}"
            draw.text((right, y), value, fill=colour, font=normal, anchor="ra")
            bar = [MARGIN, y + 23, right, y + 27]
            draw.rounded_rectangle(bar, 2, fill=(52, 56, 66))
            end = MARGIN + max(4, round((right - MARGIN) * probability))
            draw.rounded_rectangle([MARGIN, y + 23, end, y + 27], 2, fill=colour)
            mark = MARGIN + round((right - MARGIN) * result.threshold)
            draw.line([mark, y + 20, mark, y + 30], fill=TEXT, width=1)
            y += 38
        y += 8

    for note in (*(note for note in result.notes if note not in result.score_warnings), NOTICE):
        for part in textwrap.wrap(note, 50):
            line(part, small, FAINT, step=17)
        y += 5
    return panel.crop((0, 0, PANEL_WIDTH, max(y + MARGIN, minimum_height)))


def _short(limits: Sequence[Limit]) -> str:
    """Name the limits in a word or two each."""
    return ", ".join(dict.fromkeys(limit.reason if limit.status == OUTSIDE else limit.status for limit in limits))


def _draw_key(draw: ImageDraw.ImageDraw, y: int, font: ImageFont.FreeTypeFont, threshold: float) -> None:
    """Draw a one-line key to the colours and marks of the bars."""
    x = MARGIN
    for text, colour in (("eroded", ERODED), ("not eroded", HEALTHY)):
        draw.rounded_rectangle([x, y + 6, x + 14, y + 10], 2, fill=colour)
        draw.text((x + 20, y), text, fill=FAINT, font=font)
        x += 34 + round(font.getlength(text))
    draw.line([x + 2, y + 3, x + 2, y + 13], fill=TEXT, width=1)
    draw.text((x + 10, y), f"threshold {threshold:.2f}", fill=FAINT, font=font)


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Shorten a text in the middle until it fits."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        head, tail = text[: (kept + 1) // 2], text[len(text) - kept // 2 :]
        if font.getlength(f"{head}...{tail}") <= width:
            return f"{head}...{tail}"
    return text[:1]
