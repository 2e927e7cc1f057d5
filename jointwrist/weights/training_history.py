"""Training data of weights, from the first training to the last: phantoms or radiographs, masks, erosions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jointwrist.text import number_of

SOURCES = ("phantoms", "radiographs", "unknown")
#: Where the erosions come from: drawn into phantoms, inserted into radiographs, or scored by readers.
EROSIONS = ("none", "phantom", "inserted", "scored", "unknown")


@dataclass(frozen=True)
class TrainingData:
    """One kind of training data of one training.

    Attributes:
        source: One of `SOURCES`.
        wrists: Number of different radiographs; None if it is not known.
        masks: Number of them with bone masks.
        scores: Number of them with erosion scores or masks of erosions.
        erosions: One of `EROSIONS`.
    """

    source: str
    wrists: int | None = None
    masks: int | None = None
    scores: int | None = None
    erosions: str = "none"

    def __post_init__(self):
        """Check the values.

        Raises:
            ValueError: One is unknown or negative.
        """
        if self.source not in SOURCES or self.erosions not in EROSIONS:
            raise ValueError(f"source is one of {', '.join(SOURCES)}, erosions one of {', '.join(EROSIONS)}")
        if any(not (n is None or (type(n) is int and n >= 0)) for n in (self.wrists, self.masks, self.scores)):
            raise ValueError("wrists, masks and scores are numbers, or null where they are not known")


@dataclass(frozen=True)
class TrainingHistory:
    """All training data of some weights.

    Attributes:
        data: Kinds of data, the oldest training first.
    """

    data: tuple[TrainingData, ...] = ()

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> TrainingHistory:
        """Return the history in the metadata of a weight file; of older files, what their configuration says.

        Raises:
            ValueError: The history in the file is damaged.
        """
        if "history" in info:
            return cls.parse(info["history"])
        before = (TrainingData("unknown", erosions="unknown"),) if mapping_in(info, "config").get("start") else ()
        return cls((*before, _last_training(info)))

    @classmethod
    def parse(cls, entries: Any) -> TrainingHistory:
        """Read plain values, the inverse of `to_list`.

        Raises:
            ValueError: The values are not a list of the fields of `TrainingData`.
        """
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("a training history is a list of mappings, the oldest training first")
        try:
            return cls(tuple(TrainingData(**entry) for entry in entries))
        except TypeError as error:
            raise ValueError(f"a training history holds source, wrists, masks, scores and erosions ({error})") from None

    def to_list(self) -> list[dict[str, Any]]:
        """Return plain values."""
        return [asdict(data) for data in self.data]

    @property
    def real_erosions(self) -> bool:
        """Whether the weights were trained on erosions of patients."""
        return any(data.erosions == "scored" for data in self.data)

    @property
    def caution(self) -> str:
        """Short caution for readers of erosion scores; empty if the weights were trained on real erosions."""
        if self.real_erosions:
            return ""
        return _UNKNOWN if any(data.erosions == "unknown" for data in self.data) or not self.data else _UNTESTED

    @property
    def warning(self) -> str:
        """`caution` as a sentence, with its reason; empty if the weights were trained on real erosions."""
        if not self.caution:
            return ""
        reason = ": no erosion in the training data was scored by a reader" if self.caution == _UNTESTED else ""
        return f"Erosion scores are {self.caution}{reason}."

    def describe(self) -> dict[str, Any]:
        """Return the history in words and as a list, for the JSON of a result."""
        return {"trained_on": str(self), "history": self.to_list(), "real_erosions": self.real_erosions}

    def __str__(self) -> str:
        """Describe where bones and erosions come from, in one sentence."""
        bones = _total((data.source, data.masks) for data in self.data if data.masks or data.source == "unknown")
        erosions = _total((data.erosions, data.scores) for data in self.data if data.erosions != "none")
        if not self.data:
            return "The training data are not known."
        masks = f"on bones of {_listed(_BONES, bones)}" if bones else "without bone masks"
        scores = f"erosions {_listed(_EROSIONS, erosions)}" if erosions else "no erosions"
        return f"Trained {masks}; {scores}."


_UNTESTED, _UNKNOWN = "untested on real erosions", "from weights whose training data are not known"

#: Text and noun of each kind; the noun, with its number if that is known, takes the place of the braces.
_BONES = {
    "phantoms": ("{}", "phantom"),
    "radiographs": ("{}", "real radiograph"),
    "unknown": ("unknown data", ""),
}
_EROSIONS = {
    "phantom": ("drawn into {}", "phantom"),
    "inserted": ("inserted into {}", "real radiograph"),
    "scored": ("scored by readers on {}", "real radiograph"),
    "unknown": ("of unknown data", ""),
}


def _total(counts: Iterable[tuple[str, int | None]]) -> dict[str, int]:
    """Return the number of radiographs of each kind; 0 where unknown.

    Phantoms of several trainings add up; radiographs are usually reused, so the largest number counts.
    """
    total: dict[str, int] = {}
    for kind, count in counts:
        before = total.get(kind, 0)
        total[kind] = before + (count or 0) if kind in ("phantoms", "phantom") else max(before, count or 0)
    return total


def _listed(kinds: Mapping[str, tuple[str, str]], total: Mapping[str, int]) -> str:
    parts = ((*kinds[kind], count) for kind, count in total.items())
    return " and ".join(text.format(number_of(count, noun) if count else f"{noun}s") for text, noun, count in parts)


def _last_training(info: Mapping[str, Any]) -> TrainingData:
    """Reconstruct the last training of an older file from its configuration and counts."""
    stream, training = mapping_in(mapping_in(info, "config"), "stream"), mapping_in(info, "training")
    if stream.get("wrists"):
        counts = (stream["wrists"], info.get("epochs", 1))
        wrists = counts[0] * counts[1] if all(type(count) is int for count in counts) else None
        return TrainingData("phantoms", wrists, wrists, wrists, "phantom")
    if "phantom" in training:
        erosions = ("phantom" if training["phantom"] else "scored") if training.get("scores") else "none"
        source = "phantoms" if training["phantom"] else "radiographs"
        return TrainingData(source, *(training.get(key) for key in ("wrists", "masks", "scores")), erosions)
    return TrainingData("unknown", erosions="unknown")


def mapping_in(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an entry of untrusted metadata, or an empty mapping if it is not a mapping."""
    part = tree.get(key)
    return part if isinstance(part, Mapping) else {}
