"""The wrist on a radiograph: one that fills it, one of a whole hand, two of both hands, or none.

The network that comes with the package looks at the radiograph at a few sizes. Where its masks hold a carpus, a window
is cut and looked at again, and fourteen points of the bones are compared with those of a mean wrist: what lies too far
from them is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_closing, find_objects, label

from jointwrist.anatomy import BONES, bone_index
from jointwrist.data.dicom import Radiograph
from jointwrist.data.polarity import contrast
from jointwrist.data.preprocess import normalise
from jointwrist.errors import DataError
from jointwrist.inference.registration import Similarity, umeyama
from jointwrist.inference.tidy import tidy_mask

CAPITATE = bone_index("Capitate")
#: Bones that lie within the frame whatever its size; of the others the frame cuts off one end.
CARPALS = tuple(
    bone_index(name)
    for name in ("Capitate", "Hamate", "Lunate", "TriquetrumPisiform", "Scaphoid", "Trapezium", "Trapezoid")
)
#: Points of a mean right wrist in mm, x from radial to ulnar and y from distal to proximal, about the middle of the
#: radiograph: the middle of a carpal bone, and of each other bone the point next to the capitate's. Phantoms' means.
MEAN_WRIST = np.array(
    [
        (-2.7, -7.1), (-9.5, 11.0), (7.9, 17.4), (9.2, -7.4), (-1.7, 10.3), (10.3, 2.8), (-13.6, 2.8),
        (-21.2, -11.5), (-14.3, -12.3), (-21.8, -19.6), (-5.6, -16.5), (-1.9, -17.4), (5.2, -16.6), (11.3, -14.6),
    ]
)  # fmt: skip
#: Their areas in mm² and the carpals' together, which overlap; phantoms' means.
CARPAL_MM2 = np.array([311.0, 218.0, 173.0, 186.0, 237.0, 204.0, 137.0])
CARPUS_MM2 = 1250.0
#: Side in mm of the window that is cut for the network; it was trained on 72 to 120.
FIELD_MM = 95.0
#: Radiographs whose side is within these, as the mean wrist measures them, are taken as they are.
WHOLE_MM = (62.0, 138.0)
#: Mean distance from the points of the mean wrist in mm, and turn in degrees, up to which points are those of a wrist.
LARGEST_DISTANCE, LARGEST_TURN = 4.2, 40.0
#: How sure the network must be of its bones. It may draw them where no wrist is, too, but less surely: earlier weights
#: had 0.89 in a chest, where the least sure of sixteen real wrists has 0.960.
LEAST_CERTAINTY = 0.92
#: Distance in mm below which a wrist that is not looked for further has been found, or a second one.
SURE_DISTANCE = 3.2
#: Mean |log| of the ratio of the carpals' areas to the mean wrist's up to which they are carpals.
LARGEST_AREA_RATIO = 0.45
#: Factor by which the window of a wrist may still change when it is looked at again.
STEADY = 1.35
#: Difference of that distance in mm between left and right from which the hand counts as recognised.
CLEAR_SIDE = 0.4
#: Difference of certainty between left and right from which a wrist's hand counts as recognised: 0.037 and more on
#: sixteen real wrists and nineteen phantoms, and never of the wrong sign on those wrists blurred, noisy or turned.
CLEAR_CERTAINTY = 0.015
#: Certainty below which a wrist may be a hand that was called by the wrong side: 0.958 and more on the wrists above,
#: and at most 0.948 the wrong way round.
SURE_SIDE = 0.955
#: Bones that a wrist must show, of a share of the mask that is more than stray.
FEWEST_BONES, STRAY = 12, 5e-4
#: Longer sides at which a radiograph is searched, as factors of the side of the network's input; one of them suits the
#: wrist of any radiograph of up to 430 mm.
SEARCH = (1.0, 1.5, 2.25, 3.125)
#: Half the width of the slits between carpals that count as carpus in a search, as a share of that side.
SLIT = 1 / 64
#: Windows that are looked at, best guess first.
MOST_WINDOWS = 4


@dataclass(frozen=True)
class Wrist:
    """A wrist that was found.

    Attributes:
        window: Centre x, y and side of a square in pixels of the radiograph, which may reach beyond it; `FIELD_MM`
        wide.
        side: "L" or "R", the way round in which it was found.
        distance: Mean distance of its points from the mean wrist in mm.
        certainty: Mean of |2 p - 1| over the pixels of its bones, p their probability.
        contrast: How much brighter its bones are than what is next to them, of the radiograph's range of grey.
    """

    window: tuple[float, float, float]
    side: str
    distance: float
    certainty: float = 1.0
    contrast: float = 1.0


def landmarks(masks: np.ndarray) -> np.ndarray:
    """Return (14, 2) points x, y in pixels of (14, H, W) masks, nan where a bone is missing."""
    points = np.full((len(BONES), 2), np.nan)
    stray = STRAY * masks[0].size
    pieces = [np.argwhere(tidy_mask(mask, smallest=1.0))[:, ::-1] for mask in masks]
    if len(pieces[CAPITATE]) < stray:
        return points
    middle = np.median(pieces[CAPITATE], axis=0)
    for bone, inside in enumerate(pieces):
        if len(inside) < stray:
            continue
        if bone in CARPALS:
            points[bone] = np.median(inside, axis=0)
        else:
            points[bone] = inside[np.argmin(((inside - middle) ** 2).sum(1))]
    return points + 0.5


def fit(masks: np.ndarray) -> tuple[Similarity, float] | None:
    """Lay the mean wrist on the landmarks of (14, H, W) masks.

    Returns:
        Where it lies and the mean distance in mm, or None where the masks are not those of a wrist.
    """
    points = landmarks(masks)
    found = np.isfinite(points[:, 0])
    if found.sum() < FEWEST_BONES:
        return None
    place = umeyama(points[found], MEAN_WRIST[found], None)
    distances = np.linalg.norm(place(MEAN_WRIST[found]) - points[found], axis=1) / place.scale
    distance = float(np.mean(distances))
    if distance > LARGEST_DISTANCE or abs(np.degrees(place.angle)) > LARGEST_TURN:
        return None
    areas = np.array([np.count_nonzero(masks[bone]) for bone in CARPALS]) / place.scale**2
    if np.abs(np.log(np.maximum(areas, 1) / CARPAL_MM2)).mean() > LARGEST_AREA_RATIO:
        return None
    return place, distance


def certainty(probability: np.ndarray) -> float:
    """How sure (14, H, W) mask probabilities are of the bones that they show: from 0 to 1, mean over those bones."""
    inside = probability > 0.5
    return float(np.mean([2 * p[m].mean() - 1 for p, m in zip(probability, inside, strict=True) if m.any()] or [0.0]))


class FieldFinder:
    """Find the wrists of a radiograph with the network that comes with the package.

    Args:
        device: Where it runs.
    """

    def __init__(self, device: str | torch.device = "cpu"):
        from jointwrist.weights.checkpoint import load_weights
        from jointwrist.weights.hub import find_weights

        self.device = torch.device(device)
        model, info = load_weights(find_weights("jointwrist_tiny"))
        self.model = model.to(self.device).eval()
        #: Side in pixels of the network's input, as trained.
        self.side: int = info["image_size"]

    def find(self, radiograph: Radiograph) -> list[Wrist]:
        """Return the wrists of a radiograph: none, one, or a left and a right one, from left to right on the image.

        Only the hand that the radiograph states is looked for; both where it states none. The window of a wrist that
        fills the radiograph is the whole radiograph.

        Raises:
            DataError: There are two wrists, and which is the left one cannot be told.
        """
        sides, whole = _sides(radiograph), _whole(radiograph)
        seen = self._sure(radiograph)
        if (best := _filling(seen, whole)) is not None:
            return [best]
        guesses = [wrist.window for wrist in seen]
        seen = []
        for factor in SEARCH:
            guesses += self._guesses(radiograph.pixels, sides, round(factor * self.side))
            seen += self._follow(radiograph.pixels, guesses, sides)
            if any(wrist.distance < SURE_DISTANCE for wrist in seen):
                break
            guesses = []
        if seen and radiograph.side is None:  # a second hand is of the same size: look at the scale that shows it best
            best = min(seen, key=lambda wrist: wrist.distance)
            guesses = self._guesses(radiograph.pixels, sides, round(self.side * whole[2] / best.window[2]))
            seen += self._follow(radiograph.pixels, [g for g in guesses if _beside(g, best.window, alike=2.5)], sides)
        return choose(seen, str(radiograph.source or "this radiograph"))

    def filling(self, radiograph: Radiograph) -> Wrist | None:
        """Return the wrist that fills a radiograph, if one does; a look at the whole radiograph tells."""
        return _filling(self._sure(radiograph), _whole(radiograph))

    def tell_side(self, radiograph: Radiograph, window: tuple[float, float, float]) -> str | None:
        """Return the hand that the bones in a window are of, "L" or "R", or None where they do not tell.

        The network knows right hands: it is surer of a hand seen the right way round, and its points lie nearer to
        those of the mean wrist.
        """
        sure, far = {}, {}
        for side in ("R", "L"):
            probability = self._probabilities(self._image(cut(radiograph.pixels, window), self.side, self.side, side))
            found = fit(probability > 0.5)
            sure[side], far[side] = certainty(probability), found[1] if found else np.inf
        side, other = sorted(sure, key=sure.__getitem__, reverse=True)
        clear = sure[side] - sure[other] >= CLEAR_CERTAINTY and far[side] - far[other] < CLEAR_SIDE
        return side if clear and sure[side] >= LEAST_CERTAINTY else None

    def _sure(self, radiograph: Radiograph) -> list[Wrist]:
        """Return the wrists that one look at the whole radiograph shows."""
        looks = [self._look(radiograph.pixels, _whole(radiograph), side) for side in _sides(radiograph)]
        return [wrist for wrist in looks if wrist and wrist.certainty >= LEAST_CERTAINTY]

    def _follow(
        self, pixels: np.ndarray, guesses: list[tuple[float, float, float]], sides: tuple[str, ...]
    ) -> list[Wrist]:
        """Look at windows, then at where their wrists are; return what is there at last."""
        seen = []
        for window in guesses:
            for side in sides:
                first = self._look(pixels, window, side)
                wrist = first and self._look(pixels, first.window, side)
                if wrist is None or wrist.certainty < LEAST_CERTAINTY:
                    continue
                if max(wrist.window[2], first.window[2]) < STEADY * min(wrist.window[2], first.window[2]):
                    seen.append(wrist)
        return seen

    def _look(self, pixels: np.ndarray, window: tuple[float, float, float], side: str) -> Wrist | None:
        """Look at a square window as the network was trained to, and say where the wrist in it is."""
        x, y, length = window
        image = self._image(cut(pixels, window), self.side, self.side, side)
        probability = self._probabilities(image)
        found = fit(probability > 0.5)
        if found is None:
            return None
        place, distance = found
        centre = place(np.zeros((1, 2)))[0] / self.side
        if side == "L":
            centre[0] = 1 - centre[0]
        left, top = x - length / 2, y - length / 2
        extent = FIELD_MM * place.scale / self.side * length
        window = (left + centre[0] * length, top + centre[1] * length, extent)
        return Wrist(
            window, side, distance, certainty(probability), contrast(image[0, 0].cpu().numpy(), probability > 0.5)
        )

    def _guesses(self, pixels: np.ndarray, sides: tuple[str, ...], longer: int) -> list[tuple[float, float, float]]:
        """Return windows where the masks of the whole image, its longer side reduced to `longer`, hold a carpus."""
        height, width = pixels.shape
        scale = longer / max(height, width)
        rows, columns = max(round(height * scale), 32), max(round(width * scale), 32)
        guesses = []
        for side in sides:
            probability = self._probabilities(self._image(pixels, rows, columns, side))
            carpus = (probability[list(CARPALS)] > 0.5).any(0)
            carpus = carpus[:, ::-1] if side == "L" else carpus
            pieces, _ = label(binary_closing(carpus, iterations=round(SLIT * self.side)))
            for index, box in enumerate(find_objects(pieces)):
                inside = np.argwhere(pieces[box] == index + 1)
                extent = FIELD_MM * np.sqrt(len(inside) / CARPUS_MM2)
                y, x = inside.mean(0) + np.array([box[0].start + 0.5, box[1].start + 0.5])
                if 1 / 2.2 < extent / self.side < 1.8:
                    guesses.append((abs(np.log(extent / self.side)), (x / scale, y / scale, extent / scale)))
        chosen: list[tuple[float, float, float]] = []
        for _, window in sorted(guesses):
            if len(chosen) < MOST_WINDOWS and not any(_same(window, other) for other in chosen):
                chosen.append(window)
        return chosen

    def _image(self, pixels: np.ndarray, rows: int, columns: int, side: str) -> torch.Tensor:
        """Return (1, 1, rows, columns) grey in [0, 1] for the network, of a left hand mirrored."""
        turned = pixels[:, ::-1].copy() if side == "L" else pixels
        image = normalise(torch.from_numpy(turned)[None, None].to(self.device))
        return F.interpolate(image, (rows, columns), mode="bilinear", align_corners=False, antialias=True)

    @torch.inference_mode()
    def _probabilities(self, image: torch.Tensor) -> np.ndarray:
        """Return (14, rows, columns) mask probabilities."""
        return self.model.segment(image)[0].sigmoid().cpu().numpy()


def _sides(radiograph: Radiograph) -> tuple[str, ...]:
    return (radiograph.side,) if radiograph.side else ("R", "L")


def _whole(radiograph: Radiograph) -> tuple[float, float, float]:
    height, width = radiograph.pixels.shape
    return (width / 2, height / 2, float(max(height, width)))


def _filling(seen: list[Wrist], whole: tuple[float, float, float]) -> Wrist | None:
    """Return the best of the wrists in whose field the radiograph, looked at as a whole, is about as large."""
    low, high = (whole[2] * FIELD_MM / mm for mm in WHOLE_MM[::-1])
    alike = [wrist for wrist in seen if low <= wrist.window[2] <= high]
    return replace(min(alike, key=lambda wrist: wrist.distance), window=whole) if alike else None


def cut(pixels: np.ndarray, window: tuple[float, float, float]) -> np.ndarray:
    """Return a square window of (H, W) pixels; what lies beyond the image is as dark as its darkest pixel within."""
    x, y, length = window
    size = max(round(length), 2)
    left, top = round(x - length / 2), round(y - length / 2)
    inside = pixels[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
    if inside.size == 0:
        return np.zeros((size, size), np.float32)
    patch = np.full((size, size), inside.min(), np.float32)
    row, column = max(-top, 0), max(-left, 0)
    patch[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return patch


def choose(seen: list[Wrist], name: str = "this radiograph") -> list[Wrist]:
    """Choose from what was seen: the nearest to the mean wrist, and one of the other hand elsewhere if it is as good.

    Raises:
        DataError: There are two wrists, and either could be the left one; the message starts with the name.
    """
    if not seen:
        return []
    best = min(seen, key=lambda wrist: wrist.distance)
    here = [wrist for wrist in seen if _same(wrist.window, best.window)]
    apart = [wrist for wrist in seen if wrist.distance < SURE_DISTANCE and _beside(wrist.window, best.window)]
    if not apart:
        return [best]
    other = min(apart, key=lambda wrist: wrist.distance)
    there = [wrist for wrist in apart if _same(wrist.window, other.window)]
    pairs = []
    for side, opposite in ("LR", "RL"):
        nearest = [
            min((wrist for wrist in place if wrist.side == hand), key=lambda wrist: wrist.distance, default=None)
            for place, hand in ((here, side), (there, opposite))
        ]
        if None not in nearest:
            pairs.append((sum(wrist.distance for wrist in nearest), nearest))
    if not pairs or (len(pairs) == 2 and abs(pairs[0][0] - pairs[1][0]) < CLEAR_SIDE):
        raise DataError(f"{name}: shows two wrists, and which hand is which cannot be told; cut it and name the sides")
    return sorted(min(pairs, key=lambda pair: pair[0])[1], key=lambda wrist: wrist.window[0])


def _beside(first: tuple[float, float, float], second: tuple[float, float, float], alike: float = 1.4) -> bool:
    """Whether two windows are of two wrists of one size that hardly share anything."""
    apart = max(abs(first[0] - second[0]), abs(first[1] - second[1]))
    return apart > 0.75 * max(first[2], second[2]) and max(first[2], second[2]) < alike * min(first[2], second[2])


def _same(first: tuple[float, float, float], second: tuple[float, float, float]) -> bool:
    """Whether two windows are about one place, whatever their size."""
    return max(abs(first[0] - second[0]), abs(first[1] - second[1])) < 0.25 * min(first[2], second[2])
