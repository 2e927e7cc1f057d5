"""The `jointwrist` command: what it takes; what it does stands in `commands`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from jointwrist import __version__
from jointwrist.errors import DataError, MissingExtraError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 if a check found errors, or 2 if the user has something to mend."""
    arguments = build_parser().parse_args(argv)
    from jointwrist import commands
    from jointwrist.config import ConfigError

    try:
        return getattr(commands, arguments.command)(arguments)
    except (DataError, ConfigError, MissingExtraError, commands.UsageError, OSError) as error:
        if arguments.debug:
            raise
        commands.complain(error)
        return 2


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
    _add_train(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    _add_report(commands)
    _add_view(commands)
    _add_export(commands)
    _add_data(commands)
    _add_models(commands)
    selftest = commands.add_parser(
        "selftest",
        help="check that this machine computes what it should",
        description="Every scan backend against an oracle, metrics, a training run, the shipped weights' known answer.",
    )
    selftest.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")
    selftest.add_argument("--json", action="store_true", help="print JSON")
    selftest.set_defaults(command="selftest")
    info = commands.add_parser("info", help="versions, devices, extras, bones and joint surfaces")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(command="show_info")
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
    parser.add_argument("--side", choices=("L", "R"), help="hand on the films; a DICOM header that names one stands")
    parser.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")
    parser.add_argument(
        "--batch-size", type=_positive, default=4, metavar="N", help="films at once (default: %(default)s)"
    )
    parser.add_argument(
        "--tta", action="store_true", help="average over five views of each film and say how far they lie apart"
    )
    _add_field(parser)
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="also draw all films on one PNG or JPEG")
    parser.add_argument("--json", action="store_true", help="print the results as JSON lines")
    parser.add_argument(
        "--dicom", action="store_true", help="also write a DICOM segmentation and a structured report of DICOM films"
    )
    parser.add_argument(
        "--deidentify",
        action="store_true",
        help="leave patient and study empty in DICOM files, and number the films in place of their names",
    )
    parser.set_defaults(command="predict")


def _add_train(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "train",
        help="train one model",
        description="Train one model. A killed run continues when the same command is given again.",
    )
    parser.add_argument("model", metavar="MODEL", help="registry name; `jointwrist models list` names all")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder in the released layout")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights and states")
    parser.add_argument("-c", "--config", type=Path, metavar="YAML", help="values of the run")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="values that win over the file's, as optim.epochs=5"
    )
    parser.add_argument(
        "--tracker", metavar="NAME", help="tensorboard, wandb, mlflow, trackio or another of accelerate"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="the same weights, bit by bit, from the same seed and machine"
    )
    parser.set_defaults(command="train")


def _add_evaluate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "evaluate", help="measure trained weights", description="Write one CSV row per case and print the means."
    )
    parser.add_argument("weights", help="weight file or folder of a training run")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder in the released layout")
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="test", help="cases (default: %(default)s)"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="values in place of the run's, as image_size=256"
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("evaluation"), help="folder (default: %(default)s)")
    parser.set_defaults(command="evaluate")


def _add_compare(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "compare",
        help="compare two visits of one wrist",
        description="Lay a follow-up over its baseline by the bones; write what changed in erosion, bone area and joint"
        " space, and a picture of both outlines.",
    )
    parser.add_argument("baseline", type=Path, metavar="BASELINE", help="earlier film, such as a DICOM or PNG file")
    parser.add_argument("followup", type=Path, metavar="FOLLOWUP", help="later film of the same wrist")
    parser.add_argument(
        "-w",
        "--weights",
        default="jointwrist_tiny",
        help="weight file, folder of a training run, name of shipped weights, or hub repository (default: %(default)s)",
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("comparison"), help="folder (default: %(default)s)")
    parser.add_argument("--side", choices=("L", "R"), help="hand on the films; a DICOM header that names one stands")
    parser.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")
    parser.add_argument(
        "--between",
        nargs="+",
        metavar="BONE:BONE",
        help="joint spaces to measure, such as Scaphoid:Lunate (default: those read for the Sharp score)",
    )
    parser.add_argument(
        "--spacing",
        nargs="+",
        type=float,
        metavar="MM",
        help="pixel spacing of films that state none, for lengths in mm; two values where the films differ",
    )
    _add_field(parser)
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.set_defaults(command="compare")


def _add_report(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "report",
        help="one HTML page for a results folder",
        description="Write one self-contained HTML page: the tables, charts and a gallery of a benchmark.",
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="such as results/demo-phantom")
    parser.add_argument("--data", type=Path, metavar="ROOT", help="radiographs of the test split, for the gallery")
    parser.add_argument("-o", "--out", type=Path, metavar="HTML", help="file (default: report.html in RESULTS)")
    parser.set_defaults(command="report")


def _add_view(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "view",
        help="look at radiographs in a browser",
        description="Open a page that shows radiographs with their bones and joints, and two visits side by side."
        " Files can be dropped on it. It is served on this machine alone, and nothing is kept.",
    )
    parser.add_argument(
        "films", nargs="*", type=Path, metavar="FILE", help="BMP, PNG, JPEG, TIFF or DICOM, or a folder"
    )
    parser.add_argument(
        "-w",
        "--weights",
        default="jointwrist_tiny",
        help="weight file, folder of a training run, name of shipped weights, or hub repository (default: %(default)s)",
    )
    parser.add_argument("--side", choices=("L", "R"), help="hand on the films; a DICOM header that names one stands")
    parser.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")
    parser.add_argument("--tta", action="store_true", help="average over five views of each film")
    _add_field(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to serve at; others open it to the network (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8321, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--max-upload", type=_positive, default=64, metavar="MB", help="largest file to drop (default: %(default)s)"
    )
    parser.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")
    parser.set_defaults(command="view")


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "export",
        help="write weights as ONNX or as a PyTorch program",
        description="Write weights as a program that runs without jointwrist, and check that it answers as the model.",
    )
    parser.add_argument("weights", help="weight file, folder of a training run, name of shipped weights, or repository")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write, such as wrist.onnx or wrist.pt2")
    parser.add_argument(
        "--format", choices=("onnx", "torch"), default="onnx", help="format of the file (default: %(default)s)"
    )
    parser.set_defaults(command="export")


def _add_data(commands: argparse._SubParsersAction) -> None:
    data = commands.add_parser("data", help="make, import, check or download a data set")
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
        "--parts",
        nargs=3,
        type=_positive,
        metavar=("TRAIN", "VAL", "TEST"),
        help="radiographs of each split, multiples of 16, in place of --wrists; those of val and test have all labels",
    )
    phantom.add_argument(
        "--size", type=_positive, default=600, metavar="PX", help="side in pixels (default: %(default)s)"
    )
    phantom.add_argument("--seed", type=int, default=0, metavar="S", help="seed (default: %(default)s)")
    phantom.add_argument("--workers", type=_positive, metavar="N", help="processes (default: one a core)")
    phantom.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="phantom settings, such as prevalence=0.3"
    )
    phantom.set_defaults(command="make_phantom")

    check = verbs.add_parser(
        "check",
        help="find every fault of a folder",
        description="List every fault; the exit code is 1 if one is an error.",
    )
    check.add_argument("root", type=Path, metavar="ROOT", help="folder in the released layout")
    check.set_defaults(command="check_data")

    importer = verbs.add_parser(
        "import",
        help="bring annotated radiographs into the released layout",
        description="Write radiographs annotated with COCO or labelme in the layout of the RAM-W600 release.",
    )
    importer.add_argument("format", choices=("coco", "labelme"), help="format of the annotations")
    importer.add_argument(
        "sources", nargs="+", type=Path, metavar="SOURCE", help="JSON file of instances, or folder of labelme files"
    )
    importer.add_argument("out", type=Path, metavar="OUT", help="folder to write, new or empty")
    importer.add_argument("--images", type=Path, metavar="DIR", help="folder of the images (default: beside SOURCE)")
    importer.add_argument("--map", type=Path, metavar="YAML", help="category name: bone, or null to leave it out")
    importer.add_argument(
        "--table", type=Path, metavar="CSV", help="file, patient, study, side, split, spacing_mm, score of each joint"
    )
    importer.add_argument(
        "--shares", nargs=3, type=float, default=(0.7, 0.1, 0.2), metavar=("TRAIN", "VAL", "TEST"),
        help="shares of the patients whose split the table does not name (default: 0.7 0.1 0.2)",
    )  # fmt: skip
    importer.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the splits (default: %(default)s)")
    importer.set_defaults(command="import_data")

    download = verbs.add_parser("download", help="get the RAM-W600 release from its hub page")
    download.add_argument("root", type=Path, metavar="ROOT", help="folder to write (4.7 GB)")
    download.add_argument("--revision", metavar="REV", help="commit, branch or tag (default: the newest)")
    download.set_defaults(command="download_data")


def _add_models(commands: argparse._SubParsersAction) -> None:
    models = commands.add_parser("models", help="list models or convert weights")
    verbs = models.add_subparsers(required=True, metavar="VERB")

    listing = verbs.add_parser("list", help="list the models")
    listing.add_argument("pattern", nargs="?", default="*", help="shell pattern, such as '*mamba*'")
    listing.add_argument("--task", choices=("joint", "segmentation", "erosion", "foundation"), help="one task only")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(command="list_models")

    convert = verbs.add_parser("convert", help="bring a checkpoint of the authors' code into this package's form")
    convert.add_argument("source", type=Path, metavar="SOURCE", help="checkpoint to read, never unpickled")
    convert.add_argument("target", type=Path, metavar="TARGET", help="safetensors file to write")
    convert.add_argument("--model", required=True, metavar="NAME", help="registry name")
    convert.set_defaults(command="convert_weights")


def _add_field(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--field",
        choices=("auto", "whole"),
        default="auto",
        help="auto finds the wrist on films of a whole hand or of both, and refuses films without one; whole takes"
        " every film as it is (default: %(default)s)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
