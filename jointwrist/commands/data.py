"""`jointwrist data`: make, check, import, export or download a dataset."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from jointwrist.commands.messages import UsageError
from jointwrist.commands.options import positive, seed_number
from jointwrist.text import number_of

#: Formats that can be exported and imported.
EXCHANGED = ("coco", "labelme", "nifti", "seg.nrrd")
#: Formats that can only be imported.
IMPORTED = ("cvat", "yolo", "png")
#: Datasets that are imported as they were released.
RELEASED = ("ram-h1200", "mcp")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its subcommands."""
    data = commands.add_parser("data", help="make, import, export, check or download a dataset")
    verbs = data.add_subparsers(required=True, metavar="VERB")
    _add_phantom(verbs)
    _add_check(verbs)
    _add_import(verbs)
    _add_export(verbs)
    _add_download(verbs)


def _add_phantom(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "phantom",
        help="make phantom radiographs",
        description="Write phantom wrists in the layout of RAM-W600.",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write")
    parser.add_argument("--wrists", type=positive, default=160, metavar="N", help="radiographs (default: %(default)s)")
    parser.add_argument(
        "--parts",
        nargs=3,
        type=positive,
        metavar=("TRAIN", "VAL", "TEST"),
        help="radiographs per split, multiples of 16, instead of --wrists; val and test are fully labelled",
    )
    parser.add_argument(
        "--size", type=positive, default=600, metavar="PX", help="side in pixels (default: %(default)s)"
    )
    parser.add_argument("--seed", type=seed_number, default=0, metavar="S", help="seed (default: %(default)s)")
    parser.add_argument("--workers", type=positive, metavar="N", help="processes (default: one per core)")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="phantom settings, such as prevalence=0.3; `jointwrist config --init phantom` prints all",
    )
    parser.set_defaults(run=make_phantom)


def _add_check(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "check",
        help="find all faults of a folder",
        description="List all faults. The exit code is 1 if there are errors, which other commands refuse.",
    )
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder in the released layout")
    parser.add_argument(
        "--for",
        dest="command",
        choices=("train", "evaluate", "run_all"),
        help="command that the folder is meant for: train needs train and val, evaluate needs test, run_all all three;"
        " only faults that it refuses are errors (default: check everything)",
    )
    parser.set_defaults(run=check_data)


def _add_import(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "import",
        help="import annotated radiographs",
        description="Write radiographs annotated with another tool in the layout of RAM-W600.",
    )
    parser.add_argument(
        "format", choices=(*EXCHANGED, *IMPORTED, *RELEASED), help="format of the annotations, or name of a dataset"
    )
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="JSON file of COCO instances, XML file of CVAT, or folder of annotations, of masks or of the dataset",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, new or empty")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images (default: folder of SOURCE)")
    parser.add_argument(
        "--anatomy",
        default="wrist",
        metavar="NAME|YAML",
        help="bones and joints: wrist, hand, or a file of your own (default: %(default)s)",
    )
    parser.add_argument(
        "--map", type=Path, metavar="YAML", help="YAML file of `category name: bone` lines; null ignores a category"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="png: what the numbers or colours of label maps mean: label descriptions of ITK-SNAP, a colour table of 3D"
        " Slicer, JSON of nnU-Net or MONAI Label, labelmap.txt of CVAT, or columns such as name,r,g,b",
    )
    parser.add_argument(
        "--outline",
        choices=("auto", "edges", "centres"),
        default="auto",
        help="whether polygons run along pixel edges, or through pixel centres as those of cv2.findContours; auto"
        " detects the latter (default: %(default)s)",
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="TABLE",
        help="CSV file or .xlsx: file, patient, study, side, split, spacing_mm, score of each joint",
    )
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="accept rows of the table without a radiograph, and radiographs without a row",
    )
    parser.add_argument(
        "--shares", nargs=3, type=float, default=(0.7, 0.1, 0.2), metavar=("TRAIN", "VAL", "TEST"),
        help="shares of the patients whose split the table does not name (default: 0.7 0.1 0.2)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="S", help="seed of the splits (default: %(default)s)"
    )
    parser.add_argument(
        "--official",
        action="store_true",
        help="ram-h1200: keep the splits as released, including shared radiographs and patients",
    )
    parser.add_argument("--hand", action="store_true", help="ram-h1200: whole hands in place of wrists")
    parser.add_argument(
        "--doubtful", action="store_true", help="ram-h1200: count erosions of category SvdH-BE-50 as certain ones"
    )
    parser.set_defaults(run=import_data)


def _add_export(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "export",
        help="export masks to an annotation tool",
        description="Write the radiographs of a folder with their masks for an annotation tool, and a table for"
        " `jointwrist data import --table`, which restores the same masks.",
    )
    parser.add_argument("format", choices=EXCHANGED, help="format of the annotations")
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder in the released layout")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, new or empty")
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="all", help="radiographs (default: %(default)s)"
    )
    parser.set_defaults(run=export_data)


def _add_download(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser("download", help="download RAM-W600 from the Hugging Face hub")
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder to write (4.7 GB)")
    parser.add_argument("--revision", metavar="REV", help="commit, branch or tag (default: the newest)")
    parser.set_defaults(run=download_data)


def make_phantom(arguments: argparse.Namespace) -> int:
    """Write phantom wrists."""
    from jointwrist.config import build, parse_overrides
    from jointwrist.phantom import Parts, PhantomConfig, write_phantom

    try:
        parts = Parts(*arguments.parts) if arguments.parts else None
        config = build(PhantomConfig, {"size": arguments.size, **parse_overrides(arguments.set)})
    except ValueError as error:
        raise UsageError(f"phantom: {error}") from None
    wrists = parts.wrists if parts else arguments.wrists
    write_phantom(
        arguments.out,
        wrists,
        size=arguments.size,
        seed=arguments.seed,
        config=config,
        workers=arguments.workers,
        parts=parts,
    )
    print(f"{number_of(wrists, 'phantom wrist')}: {arguments.out}")
    return 0


def check_data(arguments: argparse.Namespace) -> int:
    """List the faults of a dataset folder."""
    from jointwrist.data.dataset.check import check_dataset

    faults = check_dataset(arguments.root, arguments.command)
    for fault in faults:
        print(f"{fault.severity}: {fault.path}: {fault.message}")
    counts = Counter(fault.severity for fault in faults)
    print(f"{arguments.root}: " + (", ".join(number_of(n, name) for name, n in sorted(counts.items())) or "no faults"))
    return 1 if counts["error"] else 0


def import_data(arguments: argparse.Namespace) -> int:
    """Import annotated radiographs."""
    from jointwrist.commands.data_import import run, run_mcp, run_ram_h1200

    if arguments.labels and arguments.format != "png":
        raise UsageError(f"data import {arguments.format}: --labels is for png; name numbers or labels with --map")
    if arguments.format in RELEASED and len(arguments.sources) > 1:
        raise UsageError(f"data import {arguments.format} takes one folder and the folder to write")
    return {"ram-h1200": run_ram_h1200, "mcp": run_mcp}.get(arguments.format, run)(arguments)


def export_data(arguments: argparse.Namespace) -> int:
    """Export masks to an annotation tool."""
    from jointwrist.data.export_dataset import export_dataset

    count, left_out = export_dataset(arguments.root, arguments.out, arguments.format, arguments.split)
    print(f"{number_of(count, 'radiograph')} with masks: {arguments.out}")
    if left_out:
        print(f"radiographs left out because they have no masks: {left_out}")
    return 0


def download_data(arguments: argparse.Namespace) -> int:
    """Download RAM-W600."""
    from jointwrist.data.dataset.download import download_dataset

    download_dataset(arguments.root, revision=arguments.revision)
    print(f"RAM-W600 (CC BY 4.0): {arguments.root}; check it with: jointwrist data check {arguments.root}")
    return 0
