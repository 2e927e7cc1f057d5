"""Cache of ONNX programs of weight files: made once, kept in the user's cache, and found by the content of the weights.

The program of the shipped weights is stored beside them; `make weights` rewrites it. `python -m
jointwrist.inference.engines.program_cache WEIGHTS` writes the program of a weight file beside it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import sys
from pathlib import Path

from jointwrist.errors import DataError
from jointwrist.files import cache_folder
from jointwrist.inference.engines.onnx_network import OnnxNetwork
from jointwrist.inference.engines.program_parts import split_program
from jointwrist.inference.engines.runtime import import_onnxruntime
from jointwrist.weights.metadata_fields import read_description

LOG = logging.getLogger("jointwrist.engine")

#: Version; changed whenever the programs made from the same weights change.
VERSION = 3


def open_program(weights: Path) -> OnnxNetwork | None:
    """Return the program of a weight file; None if there is none, or onnxruntime is not installed or cannot run it.

    Its metadata come from the weight file, as thresholds may have changed since.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    try:
        text, digest = _read(weights)
    except (OSError, ValueError, KeyError, TypeError):  # reading it by PyTorch says what is wrong with it
        return None
    for path in (weights.with_suffix(".onnx"), _cached(digest)):
        if not path.is_file():
            continue
        try:
            program = OnnxNetwork(path, weights, optimised=True)
        except DataError as error:  # written by another version of onnxruntime, or damaged
            LOG.debug("%s", error)
            continue
        if program.info.get("weights") == [digest, VERSION]:
            program.info |= read_description(weights, text)
            return program
    return None


def build_program(weights: Path) -> OnnxNetwork:
    """Export a weight file, compare the program with the model, and keep it in the user's cache.

    Raises:
        DataError: The weights cannot be exported.
        MissingExtraError: The extra `export` is not installed.
        StorageError: The cache is not writable.
    """
    import_onnxruntime()
    path = _cached(_read(weights)[1])
    LOG.info("%s: an ONNX program is made of it once, which takes a minute or two", weights)
    write_program(weights, path)
    return OnnxNetwork(path, weights, optimised=True)


def write_program(weights: Path, path: Path) -> float:
    """Write the optimised program of a weight file in two parts; return its difference from the model.

    Arguments, return value and errors are those of `export_weights`.
    """
    from jointwrist.inference.model_export import INFO_KEY, export_weights

    difference = export_weights(weights, path, "onnx", {"weights": [_read(weights)[1], VERSION]}, optimise=True)
    split_program(path, INFO_KEY)
    return difference


def _read(weights: Path) -> tuple[str, str]:
    """Return the metadata of a weight file as JSON, and a hash of its tensors with their names and shapes."""
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > weights.stat().st_size:
            raise ValueError("not a safetensors file")
        header = json.loads(file.read(length))
        text = header.pop("__metadata__")["jointwrist"]
        content = hashlib.file_digest(file, "sha256")
    content.update(json.dumps(header, sort_keys=True).encode())
    return text, content.hexdigest()


def _cached(digest: str) -> Path:
    return cache_folder() / "programs" / f"{digest[:32]}-{VERSION}.onnx"


if __name__ == "__main__":
    given = Path(sys.argv[1])
    print(f"relative difference from the model: {write_program(given, given.with_suffix('.onnx')):.1e}")
