"""Remove what annotation tools, browsers and desktops add to file names."""

from __future__ import annotations

import re
from urllib.parse import unquote

_ENDING = r"(?:png|jpe?g|bmp|tiff?|dcm|dicom|npy|webp)"
_COPY = r"(?:copy|kopie|copie|copia|kopia|kopi|cópia)"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SIDE = "(?i:l|r|lt|rt|left|right)"
_AFTER = re.compile(
    rf"(?:_{_ENDING}\.rf\.[0-9A-Za-z]+"  # Roboflow
    rf"|[ _-]*\(\d+\)|[ _]*-+\d+-+"  # browsers; the second as Roboflow writes the first
    rf"|[ _-]+{_COPY}(?:[ _-]*\(?\d+\)?)?"  # desktops
    rf"|[._]{_ENDING}"  # an ending before the ending
    rf"|(?<=[_-][LR])[_-]{_UUID})\Z",  # uploads
    re.IGNORECASE,
)
_BEFORE = re.compile(rf"{_COPY}[ _-](?:\d+[ _-])?(?:of|von|de|di|av|z)[ _-]|{_UUID}-(?!{_SIDE}\Z)", re.IGNORECASE)
#: The start of a random identifier that Label Studio puts before the names of uploads.
_LABEL_STUDIO = re.compile(rf"(?!{_UUID})(?P<code>[0-9a-f]{{8}})-(?P<rest>(?!{_SIDE}\Z).+)")
_CODE = re.compile(rf"{_UUID}|(?=.*[0-9])(?=.*[a-z])[0-9a-f]{{8,}}|[0-9a-zA-Z]{{20,}}", re.IGNORECASE)
#: Storage back ends, such as Django's, add seven random characters to a name in use.
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[a-zA-Z])[0-9a-zA-Z]{7}")
_STORED = re.compile(r"(.+[_-][LRlr])[_-]([0-9A-Za-z]+)")
_WORD_AND_NUMBER = re.compile(r"[a-zA-Z]+[0-9]+|[0-9]+[a-zA-Z]+")


def without_decoration(stem: str) -> str:
    """Return a file's stem without what was certainly added by tools.

    Removes Label Studio's `1a2b3c4d-`, Roboflow's `_png.rf.HASH`, `UUID-`, ` (1)`, `_copy`, ` - Copy (2)`, `Copy of `,
    a second extension and `%20`, repeatedly, as several tools may have renamed the file.
    """
    stem = unquote(stem)
    while True:
        before = stem
        stored = _STORED.fullmatch(stem)
        stem = stored[1] if stored and looks_random(stored[2]) else stem
        ending = _AFTER.search(stem)
        stem = stem[: ending.start()] if ending and ending.start() else stem
        beginning = _BEFORE.match(stem)
        stem = stem[beginning.end() :] if beginning else stem
        prefix = label_studio_prefix(stem)
        stem = prefix[1] if prefix and re.search("[0-9]", prefix[0]) and re.search("[a-f]", prefix[0]) else stem
        if stem == before:
            return stem


def label_studio_prefix(stem: str) -> tuple[str, str] | None:
    """Split off a possible prefix of Label Studio; its eight characters may also be a patient or a date."""
    found = _LABEL_STUDIO.fullmatch(stem)
    return (found["code"], found["rest"]) if found else None


def looks_random(text: str) -> bool:
    """Whether a text looks generated: a hash, a UUID, or seven random characters."""
    if _CODE.fullmatch(text):
        return True
    return bool(_RANDOM.fullmatch(text)) and not _WORD_AND_NUMBER.fullmatch(text)
