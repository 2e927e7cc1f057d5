"""What the commands do. Each imports what it needs when it runs, so that `jointwrist --help` is quick."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointwrist import __version__
from jointwrist.errors import DataError, require

if TYPE_CHECKING:
    from jointwrist.data.dicom import Radiograph
    from jointwrist.registry import ModelSpec

#: Side in pixels of a film on the sheet of all predictions.
SHEET_TILE = 360


class UsageError(ValueError):
    """The command line asks for something that does not exist."""


def complain(error: Exception | str) -> None:
    """Write one line to the standard error."""
    print(f"jointwrist: {' '.join(str(error).split())}", file=sys.stderr)


def predict(arguments: argparse.Namespace) -> int:
    """Predict films; one that cannot be read is named, and the others go on."""
    from jointwrist.data.dicom import find_films

    films = list(dict.fromkeys(find_films(arguments.films)))
    stems = neutral_stems(films) if arguments.deidentify else output_stems(films)
    from jointwrist.inference.predictor import Predictor, read_film
    from jointwrist.inference.sheet import draw_tile, picture_format, save_sheet

    if arguments.dicom:
        require("highdicom", "dicom")
    if arguments.sheet:
        picture_format(arguments.sheet)
    predictor = Predictor.from_pretrained(arguments.weights, arguments.device, arguments.field)
    failed, tiles = 0, []
    for start in range(0, len(films), arguments.batch_size):
        batch = []
        for path in films[start : start + arguments.batch_size]:
            try:
                film = read_film(path, arguments.side)
                if arguments.deidentify:
                    film = replace(film, source=Path(stems[path]))
                batch += predictor.locate(film)
            except DataError as error:
                complain(error)
                failed += 1
        hands = Counter(film.source for film in batch)
        for result in predictor.predict(batch, arguments.tta):
            source = result.film.source
            stem = stems.get(source, source.name)
            stem = stem if hands[source] == 1 else f"{stem}_{result.side}"
            result.save(arguments.out, stem)
            if arguments.sheet:
                tiles.append(draw_tile(result, SHEET_TILE))
            if arguments.dicom:
                try:
                    result.save_seg(arguments.out / f"{stem}_seg.dcm", arguments.deidentify)
                    result.save_sr(arguments.out / f"{stem}_sr.dcm", arguments.deidentify)
                except DataError as error:
                    complain(error)
                    failed += 1
            print(json.dumps(result.to_dict()) if arguments.json else summary(result))
    if tiles:
        save_sheet(tiles, arguments.sheet)
    if not arguments.json:
        print(f"overlays, scores and masks: {arguments.out}")
    return 2 if failed else 0


def neutral_stems(films: Sequence[Path]) -> dict[Path, str]:
    """Number the films in their order: file names often hold a patient's name or number."""
    return {film: f"film-{number:03d}" for number, film in enumerate(films, 1)}


def output_stems(films: Sequence[Path]) -> dict[Path, str]:
    """Name the output of each film after it, with its ending where two differ in nothing else.

    Raises:
        UsageError: Two films in different folders have one name.
    """
    counts = Counter(film.stem for film in films)
    stems = {film: film.stem if counts[film.stem] == 1 else film.name.replace(".", "_") for film in films}
    for stem, count in Counter(stems.values()).items():
        if count > 1:
            raise UsageError(
                f"{count} films would be written as {stem}; predict them one by one, each with its own --out"
            )
    return stems


def summary(result: Any) -> str:
    """One line on a result."""
    from jointwrist.anatomy import JOINTS
    from jointwrist.inference.result import LEVEL_LABELS

    hand = {"L": ", left hand", "R": ", right hand"}[result.side] if result.film.field else ""
    text = f"{result.name}{hand}: {len(result.bones)} of 14 bones"
    if result.scored.any():
        eroded = [
            f"{joint.display} {LEVEL_LABELS[result.scores[joint.index]]} (p {result.probabilities[joint.index]:.2f})"
            for joint in JOINTS
            if result.scores[joint.index] > 0
        ]
        text += f", {int(result.scored.sum())} of 6 joint surfaces, eroded: {', '.join(eroded) or 'none'}"
    return text


def train(arguments: argparse.Namespace) -> int:
    """Train one model."""
    from jointwrist.config import build, merge_trees, parse_overrides, read_yaml
    from jointwrist.data.ram_w600 import Release
    from jointwrist.engine.calibrate import settle
    from jointwrist.engine.checkpoint import save_weights
    from jointwrist.engine.config import RunConfig
    from jointwrist.engine.loaders import load_run_data
    from jointwrist.engine.session import open_accelerator, tracked
    from jointwrist.engine.stop import graceful_stop
    from jointwrist.engine.tasks import build_task
    from jointwrist.engine.trainer import BEST, Trainer
    from jointwrist.files import check_writable

    spec = known_model(arguments.model)
    if spec.task == "foundation":
        raise UsageError(f"{spec.name} is a foundation model that is evaluated as it is; `evaluate` measures it")
    values = merge_trees(
        read_yaml(arguments.config) if arguments.config else {},
        parse_overrides(arguments.set),
        {"model": spec.name, "task": spec.task},
    )
    config = build(RunConfig, values)
    check_writable(arguments.out)
    accelerator = open_accelerator(config.precision, arguments.tracker, arguments.out, arguments.deterministic)
    data = load_run_data(config, Release.open(arguments.data))
    task = build_task(config, data.prior)
    task.augment.to(accelerator.device)
    if accelerator.is_main_process:
        for note in data.notes:
            print(note)
    with tracked(accelerator, f"{config.model}-seed{config.seed}", config) as log:
        trainer = Trainer(accelerator, config, data, task, arguments.out, log)
        with graceful_stop():
            model = trainer.fit()
    thresholds = settle(accelerator, model, data.val, task)
    if accelerator.is_main_process:
        save_weights(arguments.out / BEST, model, trainer.info(thresholds))
        print(f"best weights: {arguments.out / BEST}")
    accelerator.end_training()
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure trained weights on a split."""
    import pandas as pd
    from torch.utils.data import ConcatDataset

    from jointwrist.config import build, merge_trees, parse_overrides
    from jointwrist.data.ram_w600 import Release
    from jointwrist.engine import evaluate as engine
    from jointwrist.engine.checkpoint import load_weights
    from jointwrist.engine.config import RunConfig, StreamConfig
    from jointwrist.engine.leaks import name_trained, trained_patients
    from jointwrist.engine.loaders import load_run_data
    from jointwrist.engine.session import open_accelerator
    from jointwrist.engine.tasks import build_task
    from jointwrist.files import atomic
    from jointwrist.hub import find_weights

    path = find_weights(arguments.weights)
    model, info = load_weights(path)
    if "config" not in info:
        raise DataError(f"{path}: does not say how it was trained; `jointwrist train` and the benchmark write that")
    config = build(RunConfig, merge_trees(info["config"], parse_overrides(arguments.set)))
    accelerator = open_accelerator(config.precision)
    # evaluation is on the folder, also of a model that was trained on phantoms made on the fly
    config = replace(config, stream=StreamConfig(), cache=False)
    data = load_run_data(config, Release.open(arguments.data))
    parts = ("train", "val", "test") if arguments.split == "all" else (arguments.split,)
    cases = ConcatDataset([getattr(data, part) for part in parts])
    tested = {patient for part in parts for patient in data.patients[part]}
    if accelerator.is_main_process and (trained := trained_patients(info, tested)):
        complain(name_trained(trained, len(tested)))
    _, tables = engine.evaluate(accelerator, model.to(accelerator.device), cases, build_task(config, data.prior))
    if not accelerator.is_main_process:
        return 0
    for name, rows in tables.items():
        frame = pd.DataFrame(rows)
        if name == "erosion":
            frame["predicted"] = (frame["probability"] >= info["thresholds"]["erosion"]).astype(int)
        with atomic(arguments.out / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
        print(f"{arguments.out / name}.csv: {frame['case'].nunique()} wrists, {means(name, frame)}")
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Compare two visits of one wrist."""
    from jointwrist.inference.compare import compare as compare_visits
    from jointwrist.inference.joint_space import SPACES
    from jointwrist.inference.predictor import Predictor, read_film

    spaces = [bone_pair(text) for text in arguments.between] if arguments.between else SPACES
    films = [
        read_film(path, arguments.side, spacing)
        for path, spacing in zip((arguments.baseline, arguments.followup), two_spacings(arguments.spacing), strict=True)
    ]
    predictor = Predictor.from_pretrained(arguments.weights, arguments.device, arguments.field)
    films = [one_wrist(predictor.locate(film)) for film in films]
    comparison = compare_visits(*(predictor.predict([film])[0] for film in films), spaces)
    comparison.save(arguments.out)
    if arguments.json:
        print(json.dumps(comparison.to_dict()))
        return 0
    print(change_tables(comparison.to_dict()))
    print(f"comparison and picture: {arguments.out}")
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write the page of a results folder."""
    from jointwrist.data.ram_w600 import Release
    from jointwrist.report import write_report

    release = Release.open(arguments.data) if arguments.data else None
    print(f"report: {write_report(arguments.results, arguments.out, release)}")
    return 0


def view(arguments: argparse.Namespace) -> int:
    """Serve a page to look at films."""
    from jointwrist.viewer import run

    return run.view(arguments)


def one_wrist(found: Sequence[Radiograph]) -> Radiograph:
    """Return the field of a film's only wrist as a film of its own.

    Raises:
        DataError: The film shows two.
    """
    if len(found) > 1:
        raise DataError(f"{found[0].source}: shows both hands; say with --side which one to compare")
    return found[0].cropped()


def two_spacings(given: Sequence[float] | None) -> tuple[float | None, float | None]:
    """Return the pixel spacing of either film from the values of `--spacing`: none, one for both, or two.

    Raises:
        UsageError: There are more, or one is no pixel spacing in mm.
    """
    from jointwrist.data.tables import SPACING_RANGE, parse_spacing

    if not given:
        return None, None
    if len(given) > 2 or any(parse_spacing(value) is None for value in given):
        low, high = SPACING_RANGE
        raise UsageError(f"--spacing takes one or two values from {low:g} to {high:g} mm, the baseline's first")
    return given[0], given[-1]


def bone_pair(text: str) -> tuple[int, int]:
    """Read two bones from BONE:BONE.

    Raises:
        UsageError: They are not two different bones.
    """
    from jointwrist.anatomy import bone_index

    try:
        first, second = (bone_index(name) for name in text.split(":"))
    except (KeyError, ValueError) as error:
        raise UsageError(f"--between {text}: {error.args[0]}; two bones are given as Scaphoid:Lunate") from None
    if first == second:
        raise UsageError(f"--between {text}: a joint space lies between two different bones")
    return first, second


def change_tables(change: dict[str, Any]) -> str:
    """Set a comparison as three aligned tables and its notes."""

    def show(value: float | str | None, form: str = "") -> str:
        return "-" if value is None else format(value, form)

    unit = change["unit"]
    joints = [("joint surface", "score", "then", "probability", "then")]
    for row in change["joints"]:
        joints.append(
            (
                row["name"],
                *(show(row[f"{visit}_score"]) for visit in ("baseline", "followup")),
                *(show(row[f"{visit}_probability"], ".2f") for visit in ("baseline", "followup")),
            )
        )
    bones = [("bone", f"area {unit}²", "then", "change")]
    for row in change["bone_areas"]:
        percent = show(row["change_percent"], "+.1f")
        bones.append((row["name"], show(row["baseline"], ".1f"), show(row["followup"], ".1f"), f"{percent} %"))
    spaces = [("joint space", f"narrowest {unit}", "then", "change", f"mean {unit}", "then", "change")]
    for row in change["joint_spaces"]:
        cells = [
            show(row[key], ".2f" if key.startswith(("baseline", "followup")) else "+.2f")
            for kind in ("minimum", "mean")
            for key in (f"baseline_{kind}", f"followup_{kind}", f"{kind}_change")
        ]
        spaces.append((" - ".join(row["between"]), *cells))
    tables = [columns(rows, right=range(1, len(rows[0]))) for rows in (joints, bones, spaces)]
    residual = change["registration"]["residual_px"]
    fit = f"median distance between the outlines laid over each other: {residual:.2f} px of the baseline"
    return "\n\n".join([*tables, "\n".join([fit, *change["notes"], change["notice"]])])


def export(arguments: argparse.Namespace) -> int:
    """Write weights as a program."""
    from jointwrist.hub import find_weights
    from jointwrist.inference.export import export_weights

    difference = export_weights(find_weights(arguments.weights), arguments.out, arguments.format)
    print(f"{arguments.out}: answers as the model, relative difference {difference:.1e}")
    return 0


def means(table: str, frame: Any) -> str:
    """Mean figures of per-case rows, for a person to glance at."""
    if table == "segmentation":
        bones = frame[frame["kind"] == "bone"]
        return ", ".join(f"{key.upper()} {100 * bones[key].mean():.2f} %" for key in ("dsc", "nsd", "voe"))
    from jointwrist.anatomy import JOINT_NAMES
    from jointwrist.metrics.erosion import calibration_error, erosion_metrics

    joint = frame["joint"].map(JOINT_NAMES.index)
    columns = (column.to_numpy() for column in (frame["score"], frame["probability"], frame["predicted"], joint))
    pooled = erosion_metrics(*columns).loc["pooled"]
    error = calibration_error(frame["score"].to_numpy() > 0, frame["probability"].to_numpy())
    return (
        f"AUROC {pooled['AUROC']:.3f}, balanced accuracy {100 * pooled['BACC']:.2f} %, F1 {100 * pooled['F1']:.2f} %,"
        f" calibration error {100 * error:.2f} %"
    )


def make_phantom(arguments: argparse.Namespace) -> int:
    """Write phantom wrists."""
    from jointwrist.config import build, parse_overrides
    from jointwrist.data.phantom import Parts, PhantomConfig, write_phantom

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
    print(f"{wrists} phantom wrists: {arguments.out}")
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


def import_data(arguments: argparse.Namespace) -> int:
    """Import annotated radiographs."""
    from jointwrist.data.importers.run import run

    return run(arguments)


def download_data(arguments: argparse.Namespace) -> int:
    """Download the release."""
    from jointwrist.data.download import download_release

    download_release(arguments.root, revision=arguments.revision)
    print(f"RAM-W600 (CC BY 4.0): {arguments.root}; check it with: jointwrist data check {arguments.root}")
    return 0


def list_models(arguments: argparse.Namespace) -> int:
    """List models of the registry."""
    from dataclasses import asdict

    from baselines import readme
    from jointwrist import registry

    specs = [registry.model_spec(name) for name in registry.list_models(arguments.pattern, arguments.task)]
    if arguments.json:
        print(json.dumps([asdict(spec) for spec in specs], indent=1))
        return 0
    if not specs:
        raise UsageError(f"no model matches {arguments.pattern!r}")
    print(columns([readme.HEADER, *readme.rows(specs)], right=readme.NUMBERS))
    return 0


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Set rows as aligned columns; those in `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join(f"{{:{'>' if i in right else '<'}{width}}}" for i, width in enumerate(widths))
    return "\n".join(form.format(*row).rstrip() for row in rows)


def convert_weights(arguments: argparse.Namespace) -> int:
    """Convert a checkpoint of the authors' code."""
    from baselines.convert import convert_checkpoint

    known_model(arguments.model)
    unplaced = convert_checkpoint(arguments.source, arguments.target, arguments.model)
    print(f"{arguments.model}: {arguments.target}")
    if unplaced:
        print(f"left out, for the model has no place for them: {', '.join(unplaced)}")
    return 0


def known_model(name: str) -> ModelSpec:
    """Return what the registry knows of a model.

    Raises:
        UsageError: No model has this name; the message suggests the nearest ones.
    """
    from jointwrist.registry import model_spec

    try:
        return model_spec(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def selftest(arguments: argparse.Namespace) -> int:
    """Check that this machine computes what it should."""
    from jointwrist import selftest

    return selftest.run(arguments.device, arguments.json)


def show_info(arguments: argparse.Namespace) -> int:
    """Print what there is to work with."""
    facts = collect_info()
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return 0
    for key, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {item}" for name, item in value.items())
        print(f"{key:10}{', '.join(value) if isinstance(value, list) else value}")
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
