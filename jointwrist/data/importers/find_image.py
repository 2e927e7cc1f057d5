"""Find the images that annotation files name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from jointwrist.data.shapes.annotation_json import beneath
from jointwrist.errors import DataError


def find_image(folders: Iterable[Path], name: str, source: Path) -> Path:
    """Find an image by its path in one of the folders, or by its name alone; both may be those of a URL.

    Args:
        folders: Where to look, in this order; a message names the last one.
        name: Name in the annotation file, with or without folders, which must not lead out of those searched.
        source: The annotation file, for messages.

    Raises:
        DataError: There is none.
    """
    folders = list(folders)
    for path in (name, unquote(name), name.partition("?")[0]):
        for part in (path, re.split(r"[/\\]|\?d=", path)[-1]):
            for folder in folders:
                candidate = beneath(folder, part)
                if candidate is not None and candidate.is_file():
                    return candidate
    raise DataError(f"{source}: its image {name} is not in {folders[-1]}; name the folder of the images with --images")
