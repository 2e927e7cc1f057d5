"""The `jointwrist` command. Every command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jointwrist import __version__
from jointwrist.errors import DataError, MissingExtraError

#: Files that `predict` takes out of a folder; DICOM files often have no ending.
FILM_ENDINGS = (".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".ima", "")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 if a check found errors, or 2 if the user has something to mend."""
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except (DataError, MissingExtraError, UsageError, OSError) as error:
        if arguments.debug:
            raise
        complain(error)
        return 2


class UsageError(ValueError):
    """The command line asks for something that does not exist."""


def complain(error: Exception | str) -> None:
    """Write one line to the standard error."""
    print(f"jointwrist: {' '.join(str(error).split())}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each sets `command` to the function that runs it."""
    parser = argparse.ArgumentParser(
        prog="jointwrist",
        description="Bones and erosion in wrist radiographs. Research software, not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"jointwrist {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_predict(commands)
    _add_data(commands)
    _add_models(commands)
    info = commands.add_parser("info", help="versions, devices, extras, bones and joint surfaces")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(command=show_info)
    return parser


def _add_predict(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "predict",
        help="segment and score radiographs",
        description="Write an overlay, the scores and bones found as JSON, and the masks of every radiograph.",
    )
    parser.add_argument(
        "films", nargs="+", type=Path, metavar="FILE", help="BMP, PNG, JPEG, TIFF or DICOM, or a folder"
    )
    parser.add_argument(
        "-w",
        "--weights",
        default="jointwrist_tiny",
        help="weight file, folder of a training run, name of shipped weights, or hub repository (default: %(default)s)",
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("predictions"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--side", choices=("L", "R"), help="hand on the films, where the files do not say or say it wrong"
    )
    parser.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")
    parser.add_argument(
        "--batch-size", type=_positive, default=4, metavar="N", help="films at once (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON lines")
    parser.set_defaults(command=predict)


def _add_data(commands: argparse._SubParsersAction) -> None:
    data = commands.add_parser("data", help="make, check or download a data set")
    verbs = data.add_subparsers(required=True, metavar="VERB")

    phantom = verbs.add_parser(
        "phantom",
        help="make phantom radiographs",
        description="Write wrist phantoms in the layout of the RAM-W600 release.",
    )
    phantom.add_argument("out", type=Path, metavar="OUT", help="folder to write")
    phantom.add_argument(
        "--wrists", type=_positive, default=160, metavar="N", help="radiographs (default: %(default)s)"
    )
    phantom.add_argument(
        "--size", type=_positive, default=600, metavar="PX", help="side in pixels (default: %(default)s)"
    )
    phantom.add_argument("--seed", type=int, default=0, metavar="S", help="seed (default: %(default)s)")
    phantom.add_argument("--workers", type=_positive, metavar="N", help="processes (default: one a core)")
    phantom.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="phantom settings, such as prevalence=0.3"
    )
    phantom.set_defaults(command=make_phantom)

    check = verbs.add_parser(
        "check",
        help="find every fault of a folder",
        description="List every fault; the exit code is 1 if one is an error.",
    )
    check.add_argument("root", type=Path, metavar="ROOT", help="folder in the released layout")
    check.set_defaults(command=check_data)

    download = verbs.add_parser("download", help="get the RAM-W600 release from its hub page")
    download.add_argument("root", type=Path, metavar="ROOT", help="folder to write (4.7 GB)")
    download.set_defaults(command=download_data)


def _add_models(commands: argparse._SubParsersAction) -> None:
    models = commands.add_parser("models", help="list models or convert weights")
    verbs = models.add_subparsers(required=True, metavar="VERB")

    listing = verbs.add_parser("list", help="list the models")
    listing.add_argument("pattern", nargs="?", default="*", help="shell pattern, such as '*mamba*'")
    listing.add_argument("--task", choices=("joint", "segmentation", "erosion", "foundation"), help="one task only")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(command=list_models)

    convert = verbs.add_parser("convert", help="bring a checkpoint of the authors' code into this package's form")
    convert.add_argument("source", type=Path, metavar="SOURCE", help="checkpoint to read, never unpickled")
    convert.add_argument("target", type=Path, metavar="TARGET", help="safetensors file to write")
    convert.add_argument("--model", required=True, metavar="NAME", help="registry name")
    convert.set_defaults(command=convert_weights)


def predict(arguments: argparse.Namespace) -> int:
    """Predict films; one that cannot be read is named, and the others go on."""
    films = list(find_films(arguments.films))
    stems = Counter(film.stem for film in films)
    from jointwrist.inference.predictor import Predictor, read_film

    predictor = Predictor.from_pretrained(arguments.weights, device=arguments.device)
    failed = 0
    for start in range(0, len(films), arguments.batch_size):
        batch = []
        for path in films[start : start + arguments.batch_size]:
            try:
                batch.append(read_film(path, arguments.side))
            except DataError as error:
                complain(error)
                failed += 1
        for result in predictor.predict(batch):
            path = Path(result.source)
            result.save(arguments.out, path.stem if stems[path.stem] == 1 else path.name.replace(".", "_"))
            print(json.dumps(result.to_dict()) if arguments.json else summary(result))
    if not arguments.json:
        print(f"overlays, scores and masks: {arguments.out}")
    return 2 if failed else 0


def find_films(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield files, and the radiographs directly within folders.

    Raises:
        DataError: A path does not exist, or a folder holds no radiographs.
    """
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise DataError(f"{path}: no such file")
            yield path
            continue
        within = sorted(
            file
            for file in path.iterdir()
            if file.is_file() and file.suffix.lower() in FILM_ENDINGS and not file.name.startswith(".")
        )
        if not within:
            raise DataError(f"{path}: holds no radiographs (BMP, PNG, JPEG, TIFF or DICOM)")
        yield from within


def summary(result: Any) -> str:
    """One line on a result."""
    from jointwrist.anatomy import JOINTS
    from jointwrist.inference.result import LEVEL_LABELS

    text = f"{Path(result.source).name}: {len(result.bones)} of 14 bones"
    if result.scored.any():
        eroded = [
            f"{joint.display} {LEVEL_LABELS[result.scores[joint.index]]} (p {result.probabilities[joint.index]:.2f})"
            for joint in JOINTS
            if result.scores[joint.index] > 0
        ]
        text += f", {int(result.scored.sum())} of 6 joint surfaces, eroded: {', '.join(eroded) or 'none'}"
    return text


def make_phantom(arguments: argparse.Namespace) -> int:
    """Write phantom wrists."""
    from jointwrist.config import build, parse_overrides
    from jointwrist.data.phantom import PhantomConfig, write_phantom

    try:
        config = build(PhantomConfig, {"size": arguments.size, **parse_overrides(arguments.set)})
    except ValueError as error:
        raise UsageError(f"phantom: {error}") from None
    write_phantom(
        arguments.out,
        arguments.wrists,
        size=arguments.size,
        seed=arguments.seed,
        config=config,
        workers=arguments.workers,
    )
    print(f"{arguments.wrists} phantom wrists: {arguments.out}")
    return 0


def check_data(arguments: argparse.Namespace) -> int:
    """List the faults of a release folder."""
    from jointwrist.data.check import check_release

    faults = check_release(arguments.root)
    for fault in faults:
        print(f"{fault.severity}: {fault.path}: {fault.message}")
    counts = Counter(fault.severity for fault in faults)
    print(f"{arguments.root}: " + (", ".join(f"{n} {name}s" for name, n in sorted(counts.items())) or "no faults"))
    return 1 if counts["error"] else 0


def download_data(arguments: argparse.Namespace) -> int:
    """Download the release."""
    from jointwrist.data.download import download_release

    download_release(arguments.root)
    print(f"RAM-W600 (CC BY 4.0): {arguments.root}; check it with: jointwrist data check {arguments.root}")
    return 0


def list_models(arguments: argparse.Namespace) -> int:
    """List models of the registry."""
    from dataclasses import asdict

    from jointwrist import registry

    specs = [registry.model_spec(name) for name in registry.list_models(arguments.pattern, arguments.task)]
    if arguments.json:
        print(json.dumps([asdict(spec) for spec in specs], indent=1))
        return 0
    if not specs:
        raise UsageError(f"no model matches {arguments.pattern!r}")
    rows = [("model", "task", "row in the paper", "parameters", "input", "licence")]
    rows += [
        (s.name, s.task, s.published_name or "-", f"{s.parameters:,}", str(s.input_size), s.licence) for s in specs
    ]
    print(columns(rows, right=(3, 4)))
    return 0


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Set rows as aligned columns; those in `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join(f"{{:{'>' if i in right else '<'}{width}}}" for i, width in enumerate(widths))
    return "\n".join(form.format(*row).rstrip() for row in rows)


def convert_weights(arguments: argparse.Namespace) -> int:
    """Convert a checkpoint of the authors' code."""
    from baselines.convert import convert_checkpoint
    from jointwrist import registry

    if arguments.model not in registry.list_models():
        raise UsageError(f"no model is called {arguments.model!r}; `jointwrist models list` names all")
    convert_checkpoint(arguments.source, arguments.target, arguments.model)
    print(f"{arguments.model}: {arguments.target}")
    return 0


def show_info(arguments: argparse.Namespace) -> int:
    """Print what there is to work with."""
    facts = collect_info()
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return 0
    for key, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {item}" for name, item in value.items())
        print(f"{key:9}{', '.join(value) if isinstance(value, list) else value}")
    return 0


def collect_info() -> dict[str, Any]:
    """Return versions, devices, extras, bones and joint surfaces as JSON values."""
    import platform
    from importlib.metadata import version
    from importlib.util import find_spec

    import torch

    from jointwrist.anatomy import BONE_NAMES, JOINT_NAMES

    extras = {
        "baselines": ("monai", "segmentation_models_pytorch", "transformers"),
        "dicom": ("highdicom", "openjpeg", "jpeg_ls"),
        "gpl-codecs": ("libjpeg",),
        "cuda": ("selective_scan_cuda",),
        "export": ("onnx", "onnxruntime", "onnxscript"),
        "tracking": ("tensorboard",),
    }
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "version": __version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "torchvision", "timm", "kornia", "accelerate")},
        "devices": [f"CPU, {torch.get_num_threads()} threads", *gpus],
        "extras": {
            extra: "installed" if all(find_spec(module) for module in modules) else "missing"
            for extra, modules in extras.items()
        },
        "bones": list(BONE_NAMES),
        "joints": list(JOINT_NAMES),
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
