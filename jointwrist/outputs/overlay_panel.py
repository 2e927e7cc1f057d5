"""The panel beside the overlay: the bones found, the erosion of each joint surface, and notes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jointwrist.anatomy import JointSurface
from jointwrist.inference.result import WristResult
from jointwrist.inference.scope.report import OUTSIDE, Limit
from jointwrist.text import NOTICE

PANEL_WIDTH = 360
MARGIN = 24
BACKGROUND, TEXT, FAINT = (20, 22, 27), (236, 238, 242), (128, 134, 146)
HEALTHY, ERODED, CAUTION = (120, 200, 190), (255, 112, 92), (240, 190, 90)
#: Right end of lines and bars, in pixels.
_RIGHT = PANEL_WIDTH - MARGIN


def draw_panel(result: WristResult, minimum_height: int) -> Image.Image:
    """Draw the panel, at least `minimum_height` pixels high."""
    panel = _Panel(result, 2 * minimum_height + 2000)
    panel.add_facts()
    panel.add_bones()
    if result.scored.any() or result.withheld.any():
        panel.add_erosions()
    panel.add_notes()
    return panel.image.crop((0, 0, PANEL_WIDTH, max(panel.y + MARGIN, minimum_height)))


def joint_colour(result: WristResult, joint: int) -> tuple[int, int, int]:
    """Return the RGB colour of a joint surface: eroded, healthy, or with a score that is withheld."""
    if result.withheld[joint]:
        return CAUTION
    return ERODED if result.eroded[joint] else HEALTHY


class _Panel:
    """A panel that is drawn from top to bottom.

    Attributes:
        image: Picture, higher than what is drawn on it.
        y: Where the next line begins, in pixels.
    """

    def __init__(self, result: WristResult, height: int):
        self.result = result
        self.image = Image.new("RGB", (PANEL_WIDTH, height), BACKGROUND)
        self.draw = ImageDraw.Draw(self.image)
        self.large, self.normal, self.small = (ImageFont.load_default(points) for points in (20, 16, 13))
        self.y = MARGIN

    def line(
        self, text: str, font: ImageFont.FreeTypeFont, colour: tuple[int, int, int] = TEXT, step: int = 24
    ) -> None:
        """Write a line, shortened to the width of the panel, and move down by `step` pixels."""
        self.draw.text((MARGIN, self.y), _fit(text, font, _RIGHT - MARGIN), fill=colour, font=font)
        self.y += step

    def add_facts(self) -> None:
        """Write name, hand, model, pixel spacing and weights."""
        result = self.result
        self.line(result.name, self.large, step=30)
        hand = "left hand" if result.side == "L" else "right hand"
        facts = [hand if result.anatomy.sides else "", result.model]
        if result.radiograph.pixel_mm is not None:
            sides = dict.fromkeys(f"{side:.3g}" for side in result.radiograph.pixel_mm)
            facts.append(f"{' x '.join(sides)} mm/px")
        step = 17 if result.weight_file else 32
        self.line(", ".join(fact for fact in facts if fact), self.small, FAINT, step=step)
        if result.weight_file:
            self.line(f"weights {result.weight_file}", self.small, FAINT, step=32)

    def add_bones(self) -> None:
        """List the bones with their colours, and what limits the judgement of each."""
        result = self.result
        self.line(f"Bones found: {len(result.bones)} of {len(result.masks)}", self.normal, step=28)
        for bone, found in zip(result.anatomy.bones, result.found, strict=True):
            limits = result.scope.bones[bone.index] if result.scope else ()
            box = [MARGIN, self.y + 3, MARGIN + 16, self.y + 15]
            self.draw.rectangle(box, fill=bone.colour if found else None, outline=bone.colour)
            text = bone.display if found else f"{bone.display} (not found)"
            self.draw.text((MARGIN + 28, self.y), text, fill=TEXT if found else FAINT, font=self.normal)
            if limits:
                self.draw.text((_RIGHT, self.y + 2), _short(limits), fill=CAUTION, font=self.small, anchor="ra")
            self.y += 23
        self.y += 18

    def add_erosions(self) -> None:
        """List the joint surfaces with probability and score, below the warnings about all of them."""
        result = self.result
        self.line("Erosion, probability and score", self.normal, step=26)
        for warning in result.score_warnings:
            for part in textwrap.wrap(warning, 44):
                self.line(part, self.small, CAUTION, step=17)
            self.y += 2
        self.y += 4
        if result.scored.any():
            self._add_key()
        for joint in result.anatomy.eroded_joints:
            if result.scored[joint.index]:
                self._add_scored(joint)
            else:
                self._add_unscored(joint)
            self.y += 38
        self.y += 8

    def _add_key(self) -> None:
        """Draw a one-line key to the colours and marks of the bars."""
        x, y, font = MARGIN, self.y, self.small
        for text, colour in (("eroded", ERODED), ("not eroded", HEALTHY)):
            self.draw.rounded_rectangle([x, y + 6, x + 14, y + 10], 2, fill=colour)
            self.draw.text((x + 20, y), text, fill=FAINT, font=font)
            x += 34 + round(font.getlength(text))
        self.draw.line([x + 2, y + 3, x + 2, y + 13], fill=TEXT, width=1)
        self.draw.text((x + 10, y), f"threshold {self.result.threshold:.2f}", fill=FAINT, font=font)
        self.y += 28

    def _add_scored(self, joint: JointSurface) -> None:
        """Draw name, probability, score and bar of a joint surface."""
        result, y = self.result, self.y
        probability, colour = float(result.probabilities[joint.index]), joint_colour(result, joint.index)
        self.draw.text((MARGIN, y), f"{joint.index + 1}  {joint.display}", fill=TEXT, font=self.normal)
        label = result.anatomy.erosion.labels[result.scores[joint.index]]
        value = f"{_with_spread(result, joint.index)}   score {label}"
        self.draw.text((_RIGHT, y), value, fill=colour, font=self.normal, anchor="ra")
        self.draw.rounded_rectangle([MARGIN, y + 23, _RIGHT, y + 27], 2, fill=(52, 56, 66))
        end = MARGIN + max(4, round((_RIGHT - MARGIN) * probability))
        self.draw.rounded_rectangle([MARGIN, y + 23, end, y + 27], 2, fill=colour)
        mark = MARGIN + round((_RIGHT - MARGIN) * result.threshold)
        self.draw.line([mark, y + 20, mark, y + 30], fill=TEXT, width=1)

    def _add_unscored(self, joint: JointSurface) -> None:
        """Write the name of a joint surface, and why it has no score."""
        name, withheld = f"{joint.index + 1}  {joint.display}", self.result.withheld[joint.index]
        self.draw.text((MARGIN, self.y), name if withheld else f"{name} (not found)", fill=FAINT, font=self.normal)
        if withheld:
            text = f"withheld: {_short(self.result.limits(joint.index))}"
            self.draw.text((_RIGHT, self.y + 19), text, fill=CAUTION, font=self.small, anchor="ra")

    def add_notes(self) -> None:
        """Write the notes that are not warnings about the scores, and the notice."""
        warnings = self.result.score_warnings
        for note in (*(note for note in self.result.notes if note not in warnings), NOTICE):
            for part in textwrap.wrap(note, 50):
                self.line(part, self.small, FAINT, step=17)
            self.y += 5


def _with_spread(result: WristResult, joint: int) -> str:
    """Return the probability, with its standard deviation over augmented views if available."""
    text = f"{result.probabilities[joint]:.2f}"
    if result.uncertainty is None or np.isnan(result.uncertainty.probability_sd[joint]):
        return text
    return f"{text} ± {result.uncertainty.probability_sd[joint]:.2f}"


def _short(limits: Sequence[Limit]) -> str:
    """Name the limits in a word or two each."""
    return ", ".join(dict.fromkeys(limit.reason if limit.status == OUTSIDE else limit.status for limit in limits))


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Shorten a text in the middle until it fits."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        head, tail = text[: (kept + 1) // 2], text[len(text) - kept // 2 :]
        if font.getlength(f"{head}...{tail}") <= width:
            return f"{head}...{tail}"
    return text[:1]
