"""The localiser: finds the wrist on a radiograph of a wrist, of a whole hand, or of both hands.

The shipped network segments the whole radiograph at several sizes. Around each carpus in its masks, a window is cropped
and segmented again, and the landmarks of the bones are compared with those of the mean wrist. A candidate whose
landmarks are too far from them is rejected.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_closing, find_objects, label

from jointwrist.data.polarity import contrast
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.resample import normalise_plane, resample
from jointwrist.inference.engines.networks import Network, open_network
from jointwrist.inference.per_process import PerProcess
from jointwrist.inference.placement import Placement
from jointwrist.inference.prediction import sigmoid
from jointwrist.inference.rotation import ROTATIONS
from jointwrist.inference.search.candidates import (
    CLEAR_SIDE,
    SURE_DISTANCE,
    Candidate,
    Window,
    choose_wrists,
    crop_window,
    same_place,
    separate,
)
from jointwrist.inference.search.mean_wrist import certainty, fit_mean_wrist
from jointwrist.ops.wrist_scale import CARPALS, CARPUS_MM2
from jointwrist.weights.find import find_weights

if TYPE_CHECKING:
    import torch

#: Side in mm of the window cropped for the network, which was trained on 72 to 120 mm.
FIELD_MM = 95.0
#: A wrist fills the radiograph if its side, measured by the mean wrist, is within these bounds.
WHOLE_MM = (62.0, 138.0)
#: Certainty from which masks count. The network may draw bones where there is no wrist, but it is then less certain:
#: earlier weights reached 0.89 in a chest; the least certain of sixteen real wrists has 0.960.
LEAST_CERTAINTY = 0.92
#: Largest ratio between the sizes of a wrist's window in the first and the second segmentation.
STEADY = 1.35
#: Difference of certainty between left and right from which the side counts as known: at least 0.037 on sixteen real
#: wrists and nineteen phantoms, and never of the wrong sign when they were blurred, noisy or rotated.
CLEAR_CERTAINTY = 0.015
#: Certainty below which a stated side is doubted: at least 0.958 on the wrists above, at most 0.948 on their mirror
#: images.
SURE_SIDE = 0.955
#: Longer sides at which a radiograph is searched, as factors of the network's input side. One of them suits the wrist
#: on any radiograph of up to 430 mm.
SEARCH = (1.0, 1.5, 2.25, 3.125)
#: Sizes of a wrist's window, as shares of the network's input side, between which it is segmented again: the smallest
#: on the whole radiograph, the smallest at finer scales (a search at which takes far longer), and the largest.
SMALLEST_WHOLE, SMALLEST, LARGEST = 1 / 3.4, 1 / 2.2, 1.8
#: Distance from a wrist to the left or right edge of the radiograph, in sides of its window, from which a second wrist
#: has room beside it.
ROOM = 1.2
#: Half the width of the gaps between carpal bones that the search closes, as a share of that side.
GAP = 1 / 64
#: Largest number of windows that are segmented, the most likely first.
MOST_WINDOWS = 4


#: The weights that come with the package, by which wrists are localised.
WEIGHTS = "jointwrist_tiny"


class Localiser(PerProcess):
    """Localise wrists with the network that comes with the package.

    Args:
        network: Network of `WEIGHTS`.
        side: Side of its input in pixels, as in training.
        detail: Side of the image that a prediction by the same network reduces to its input (`Predictor.detail_size`).
            The first look at the whole radiograph is at that image, so that the network segments a radiograph that a
            wrist fills only once for both. None takes `side`.
    """

    def __init__(self, network: Network, side: int, detail: int | None = None):
        self.network, self.side, self.detail = network, side, detail or side
        self._kept = threading.local()

    @classmethod
    def load(cls, device: str | torch.device | None = "cpu", engine: str = "torch") -> Localiser:
        """Load the network; arguments as for `engines.networks.open_network`."""
        network, info = open_network(find_weights(WEIGHTS), device, engine)
        return cls(network, info["image_size"], info.get("detail_size"))

    def find(
        self,
        radiograph: Radiograph,
        give_up: Callable[[], bool] | None = None,
        scales: Sequence[float] = SEARCH,
    ) -> list[Candidate]:
        """Return the wrists of an upright radiograph: none, one, or a left and a right one, from left to right.

        Where the radiograph states its side, only that hand is looked for. The window of a wrist that fills the
        radiograph is the whole radiograph.

        Args:
            radiograph: Radiograph with square pixels.
            give_up: Asked before each scale but the first, as finer ones take longer; True ends the search.
            scales: Scales to search at, some of `SEARCH` in their order.

        Raises:
            DataError: There are two wrists, and it is unclear which is the left one.
        """
        if _is_flat(radiograph.pixels):
            return []
        sides, whole = _sides(radiograph), _whole(radiograph.pixels)
        if (best := _filling(self._at_whole(radiograph, as_predicted=True), whole)) is not None:
            return [best]
        windows = [wrist.window for wrist in self._at_whole(radiograph)] if scales[0] == SEARCH[0] else []
        seen = []
        for factor in scales:
            if factor != scales[0] and give_up is not None and give_up():
                break
            windows += self._propose(radiograph.pixels, sides, round(factor * self.side))
            seen += self._confirm(radiograph.pixels, windows, sides)
            if any(wrist.distance < SURE_DISTANCE for wrist in seen):
                break
            windows = []
        best = min(seen, key=lambda wrist: wrist.distance, default=None)
        if best is not None and radiograph.side is None and _has_room(radiograph.pixels, best.window):
            # a second hand is about as large: search at that scale
            windows = self._propose(radiograph.pixels, sides, round(self.side * whole[2] / best.window[2]))
            windows = [window for window in windows if separate(window, best.window, alike=2.5)]
            seen += self._confirm(radiograph.pixels, windows, sides)
        return choose_wrists(seen, str(radiograph.source or "this radiograph"))

    def filling(self, radiograph: Radiograph) -> Candidate | None:
        """Return the wrist that fills an upright radiograph, or None; this segments it only once."""
        if _is_flat(radiograph.pixels):
            return None
        return _filling(self._at_whole(radiograph, as_predicted=True), _whole(radiograph.pixels))

    def side_from_bones(self, radiograph: Radiograph, window: Window) -> str | None:
        """Return the side of the bones in a window, "L" or "R", or None if it is unclear.

        The network was trained on right hands. It is more certain of a hand shown to it as a right one, whose landmarks
        are then closer to those of the mean wrist.
        """
        sure, far = {}, {}
        for side in ("R", "L"):
            _, probability = self._segmented(radiograph.pixels, window, side, as_predicted=True)
            found = fit_mean_wrist(probability > 0.5)
            sure[side], far[side] = certainty(probability), found[1] if found else np.inf
        side, other = sorted(sure, key=sure.__getitem__, reverse=True)
        clear = sure[side] - sure[other] >= CLEAR_CERTAINTY and far[side] - far[other] < CLEAR_SIDE
        return side if clear and sure[side] >= LEAST_CERTAINTY else None

    def _at_whole(self, radiograph: Radiograph, as_predicted: bool = False) -> list[Candidate]:
        """Return the wrists found on the whole radiograph."""
        pixels = radiograph.pixels
        looks = [self._look(pixels, _whole(pixels), side, as_predicted) for side in _sides(radiograph)]
        return [wrist for wrist in looks if wrist and wrist.certainty >= LEAST_CERTAINTY]

    def _confirm(self, pixels: np.ndarray, windows: list[Window], sides: tuple[str, ...]) -> list[Candidate]:
        """Segment each window, then the wrist found in it; return the wrists on which both segmentations agree."""
        seen = []
        for window in windows:
            for side in sides:
                first = self._look(pixels, window, side)
                wrist = first and self._look(pixels, first.window, side)
                if wrist is None or wrist.certainty < LEAST_CERTAINTY:
                    continue
                if max(wrist.window[2], first.window[2]) < STEADY * min(wrist.window[2], first.window[2]):
                    seen.append(wrist)
        return seen

    def _look(self, pixels: np.ndarray, window: Window, side: str, as_predicted: bool = False) -> Candidate | None:
        """Segment a window at the network's input size and return the wrist in it."""
        x, y, length = window
        image, probability = self._segmented(pixels, window, side, as_predicted)
        found = fit_mean_wrist(probability > 0.5)
        if found is None:
            return None
        to_pixels, distance = found
        centre = to_pixels(np.zeros((1, 2)))[0] / self.side
        if side == "L":
            centre[0] = 1 - centre[0]
        left, top = x - length / 2, y - length / 2
        extent = FIELD_MM * to_pixels.scale / self.side * length
        window = (left + centre[0] * length, top + centre[1] * length, extent)
        return Candidate(window, side, distance, certainty(probability), contrast(image[0, 0], probability > 0.5))

    def _propose(self, pixels: np.ndarray, sides: tuple[str, ...], longer: int) -> list[Window]:
        """Return windows around each carpus found on the radiograph resized to a longer side of `longer` pixels."""
        height, width = pixels.shape
        scale = longer / max(height, width)
        rows, columns = max(round(height * scale), 32), max(round(width * scale), 32)
        smallest = SMALLEST_WHOLE if longer == self.side else SMALLEST
        proposals = []
        for side in sides:
            if height == width and rows == self.side:
                _, probability = self._segmented(pixels, _whole(pixels), side)
            else:
                probability = self._probabilities(self._image(pixels, rows, columns, side))
            carpus = (probability[list(CARPALS)] > 0.5).any(0)
            carpus = carpus[:, ::-1] if side == "L" else carpus
            pieces, _ = label(binary_closing(carpus, iterations=round(GAP * self.side)))
            for index, box in enumerate(find_objects(pieces)):
                inside = np.argwhere(pieces[box] == index + 1)
                extent = FIELD_MM * np.sqrt(len(inside) / CARPUS_MM2)
                y, x = inside.mean(0) + np.array([box[0].start + 0.5, box[1].start + 0.5])
                if smallest < extent / self.side < LARGEST:
                    proposals.append((abs(np.log(extent / self.side)), (x / scale, y / scale, extent / scale)))
        chosen: list[Window] = []
        for _, window in sorted(proposals):
            if len(chosen) < MOST_WINDOWS and not any(same_place(window, other) for other in chosen):
                chosen.append(window)
        return chosen

    def _segmented(
        self, pixels: np.ndarray, window: Window, side: str, as_predicted: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the network's image of a window and its mask probabilities.

        Those of the whole radiograph are kept while the thread works on it and its rotations, as they are used again.
        With `as_predicted`, its image is the one of which it is predicted if a wrist fills it.
        """
        if window != _whole(pixels):
            return self._segment(self._image(crop_window(pixels, window), self.side, self.side, side))
        kept = self._kept.__dict__.setdefault("whole", [])
        whole = next((segmented for known, segmented in kept if known is pixels), None)
        if whole is None:
            whole = {}
            kept[:] = [*kept[1 - len(ROTATIONS) :], (pixels, whole)]
        if (side, as_predicted) not in whole:
            if as_predicted:
                detail = Placement(Radiograph(pixels, side=side)).image(self.detail)[0]
                image = resample(detail, (self.side, self.side))[None, None]
            else:
                image = self._image(crop_window(pixels, window), self.side, self.side, side)
            whole[side, as_predicted] = self._segment(image)
        return whole[side, as_predicted]

    def _segment(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return image, self._probabilities(image)

    def _image(self, pixels: np.ndarray, rows: int, columns: int, side: str) -> np.ndarray:
        """Return the network's input, (1, 1, rows, columns) grey in [0, 1]; a left hand is mirrored."""
        right = pixels[:, ::-1] if side == "L" else pixels
        return resample(normalise_plane(right), (rows, columns))[None, None]

    def _probabilities(self, image: np.ndarray) -> np.ndarray:
        """Return (14, rows, columns) mask probabilities."""
        return sigmoid(self.network.segment(image))


def _sides(radiograph: Radiograph) -> tuple[str, ...]:
    return (radiograph.side,) if radiograph.side else ("R", "L")


def _is_flat(pixels: np.ndarray) -> bool:
    """Return whether an image is of one grey, as that of a blank radiograph: it need not be searched."""
    return bool(pixels.min() == pixels.max())


def _has_room(pixels: np.ndarray, window: Window) -> bool:
    """Return whether a second wrist fits beside that of a window, left or right of it."""
    x, _, length = window
    return max(x, pixels.shape[1] - x) > ROOM * length


def _whole(pixels: np.ndarray) -> Window:
    height, width = pixels.shape
    return (width / 2, height / 2, float(max(height, width)))


def _filling(seen: list[Candidate], whole: Window) -> Candidate | None:
    """Return the best of the wrists whose window is about as large as the radiograph."""
    low, high = (whole[2] * FIELD_MM / mm for mm in WHOLE_MM[::-1])
    alike = [wrist for wrist in seen if low <= wrist.window[2] <= high]
    return replace(min(alike, key=lambda wrist: wrist.distance), window=whole) if alike else None
