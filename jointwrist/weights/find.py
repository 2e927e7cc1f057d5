"""Find weights: files, folders, shipped names and Hugging Face hub repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable
from jointwrist.text import printable

#: Folder of the weights that are shipped with the package.
SHIPPED = Path(__file__).parent
#: Weight files of a published model and of a training run.
WEIGHT_FILES = ("model.safetensors", "best.safetensors")


def find_weights(source: str | Path, **download: Any) -> Path:
    """Find a weight file.

    Args:
        source: File; folder of a training run or a published model; name of a model whose weights come with the
            package; or repository on the Hugging Face hub.
        **download: Options of `hf_hub_download` for a repository.

    Raises:
        DataError: There is none; the message says where one could come from.
    """
    path = Path(source)
    candidates = (path, *(path / name for name in WEIGHT_FILES), SHIPPED / f"{source}.safetensors")
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is not None:
        return found
    if path.suffix not in (".safetensors", ".onnx") and len(path.parts) == 2 and not path.parent.exists():
        return _download(str(source), **download)
    others = sorted(path.glob("*.safetensors")) if path.is_dir() else []
    if others:
        raise DataError(f"{source}: holds no {' or '.join(WEIGHT_FILES)}; give a file in it, such as {others[0]}")
    if path.parts[:1] == ("~",):
        raise DataError(f"{source}: {why_unreadable(path)}")
    shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.safetensors"))) or "none"
    raise DataError(
        f"{source}: no weights here; give a .safetensors file or a folder with best.safetensors (`make run` trains"
        f" one), or a name that comes with the package: {shipped}"
    )


def weights_source(path: Path) -> str:
    """Return what a configuration states for a weight file, from which `find_weights` finds it again.

    Returns:
        The name of weights that come with the package, which is the same wherever it is installed; else the absolute
        path.
    """
    return path.stem if path.parent == SHIPPED else str(path.resolve())


def weights_label(path: Path) -> str:
    """Return what a result calls a weight file, without the folders above its own.

    Returns:
        The name for `--weights` of weights that come with the package or from the hub; else folder and file, such as
        `tiny/best.safetensors`.
    """
    if path.parent == SHIPPED:
        return path.stem
    repository = next((part for part in path.parts if part.startswith("models--")), "")  # a folder of the hub's cache
    return printable(repository.removeprefix("models--").replace("--", "/") or str(Path(path.parent.name) / path.name))


def find_checkpoint(source: str | Path) -> Path:
    """Find a weight file of another program.

    Args:
        source: File; repository on the Hugging Face hub with `model.safetensors`, such as
            `timm/swin_tiny_patch4_window7_224.ms_in1k`; or a file of one, `owner/repository/file`.

    Raises:
        DataError: The source is neither a file nor in a repository that can be reached.
    """
    path = Path(source)
    if path.is_file() or len(path.parts) < 2 or Path(path.parts[0]).exists():
        return path
    return _download("/".join(path.parts[:2]), "/".join(path.parts[2:]) or WEIGHT_FILES[0])


def _download(repository: str, file: str = WEIGHT_FILES[0], **options: Any) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, **options))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise DataError(
            f"{repository}: neither a file nor a reachable hub repository with {file}; check the name and the network,"
            " or copy the file here"
        ) from error
