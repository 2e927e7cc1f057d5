"""The documentation's examples run as they stand, on a few small phantoms, and print what the page says."""

from __future__ import annotations

import argparse
import doctest
import json
import os
import shlex
import shutil
import webbrowser
from types import SimpleNamespace

import dicom_files
import huggingface_hub
import numpy as np
import pytest
import torch
from docs_pages import PAGES, ROOT, blocks, page_text
from PIL import Image
from pydicom.uid import generate_uid

from jointwrist.anatomy import BONE_NAMES
from jointwrist.benchmark.tables.cells import Figure
from jointwrist.benchmark.tables.table import Table, save_tables
from jointwrist.cli import build_parser, main
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.images import read_image
from jointwrist.data.sample import unpack_masks
from jointwrist.registry import create_model
from jointwrist.viewer.server import ViewerServer

RUN = [page for page in PAGES if any(block.kind in ("console", "python") for block in blocks(page_text(page)))]


def verbs(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()):
    """Yield the words of every command."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words
    for group in groups:
        for name, child in group.choices.items():
            yield from verbs(child, (*words, name))


def test_every_verb_has_an_example_that_runs():
    shown, run = set(), set()
    for page in PAGES:
        for block in blocks(page_text(page)):
            if block.kind == "console":
                for command, _ in block.commands:
                    words = shlex.split(command)[1:]
                    found = next(verb for verb in verbs(build_parser()) if tuple(words[: len(verb)]) == verb)
                    shown.add(found)
                    run |= set() if block.skipped else {found}
    assert shown == run == set(verbs(build_parser()))


def test_every_command_anywhere_in_the_text_is_one_the_parser_takes():
    pages = {page: page_text(page) for page in PAGES} | {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    for page, text in pages.items():
        for block in blocks(text):
            lines = [line for line, _ in block.commands] if block.kind == "console" else block.text.splitlines()
            for line in lines:
                program, *words = shlex.split(line, comments=True) if "jointwrist " in line else [""]
                if program.removeprefix(".venv/bin/") == "jointwrist":
                    try:
                        build_parser().parse_args(words)
                    except SystemExit:
                        pytest.fail(f"{page}: {line}")


def test_a_wrong_output_would_be_noticed():
    assert matches("a ... c\n", "a b c\n")
    assert not matches("a ... d\n", "a b c\n")


def matches(wanted: str, found: str) -> bool:
    """Whether a printed text is that of a page, whose `...` stands for anything."""
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(wanted, found, options)


@pytest.fixture(scope="module")
def files(phantom_root, tmp_path_factory):
    """What the examples speak of: radiographs, annotations, a release, a training run, kept results, a checkpoint."""
    root = tmp_path_factory.mktemp("files")
    shutil.copytree(phantom_root, root / "RAM-W600")
    cases = [case for case in RamW600.open(phantom_root).cases if case.mask is not None][:9]
    write_radiographs(root, cases)
    write_annotations(root / "annotated", cases)
    write_labelme(root / "labelme", cases[:3])
    write_label_maps(root / "label_maps", cases)
    kept = root / "results" / "demo-phantom"
    shutil.copytree(ROOT / "docs" / "demo" / "jobs", kept / "jobs")
    save_tables(kept / "tables", [Table("segmentation", "Bones.", [{"Model": "`a`", "DSC %": Figure(71.83)}])])
    torch.save(create_model("umamba_bot").state_dict(), root / "unet_official.pth")
    # an encoder without scans, which take long to export
    settings = ["image_size=32", "optim.epochs=1", "optim.batch_size=4", "options.roi_crop=32", "options.encoder=conv"]
    run = ["train", "jointwrist_tiny", "--data", str(phantom_root), "--out", str(root / "runs" / "tiny")]
    assert main([*run, "--set", *settings]) == 0
    return root


def write_radiographs(root, cases):
    left = [case for case in cases if case.side == "L"][:2]
    (root / "radiographs").mkdir()
    for case in left:
        Image.open(case.image).save(root / "radiographs" / f"{case.identifier}.png")
    for name in ("wrist_L.png", "wrist.png", "visit1_L.png"):
        Image.open(left[0].image).save(root / name)
    pixels = np.asarray(Image.open(left[0].image).convert("L"))
    Image.fromarray(np.roll(pixels, 2, axis=1)).save(root / "visit2_L.png")
    (root / "visits.csv").write_text("baseline,followup\nvisit1_L.png,visit2_L.png\n")
    write_dicom(root / "wrist.dcm", (read_image(left[0].image) * 4095).round().astype(np.uint16))


def write_dicom(path, pixels):
    header = dict(
        StudyInstanceUID=generate_uid(), SeriesInstanceUID=generate_uid(), PatientBirthDate="19500101", PatientSex="F",
        StudyDate="20200131", StudyTime="1015", StudyID="1", AccessionNumber="2", ReferringPhysicianName="",
        Manufacturer="M", SeriesNumber=1, InstanceNumber=1, BodyPartExamined="WRIST", ViewPosition="PA",
        PatientOrientation=["L", "F"], PixelSpacing=[0.5, 0.5], ImagerPixelSpacing=None,
    )  # fmt: skip
    dicom_files.save(dicom_files.make(pixels, **header), path)


def write_annotations(folder, cases):
    folder.mkdir()
    images, annotations = [], []
    for number, case in enumerate(cases):
        Image.open(case.image).save(folder / f"{case.identifier}.png")
        masks = unpack_masks(load_sample(case, right_hand=False).bones)
        height, width = masks.shape[1:]
        images.append({"id": number, "file_name": f"{case.identifier}.png", "height": height, "width": width})
        for bone, mask in enumerate(masks):
            flat = mask.T.ravel()
            ends = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
            counts = np.diff(ends, prepend=0).tolist()
            segmentation = {"counts": counts, "size": [height, width]}
            annotations.append({"id": len(annotations), "image_id": number, "category_id": bone})
            annotations[-1]["segmentation"] = segmentation
    categories = [{"id": bone, "name": name} for bone, name in enumerate(BONE_NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(content))


def write_labelme(folder, cases):
    folder.mkdir()
    for case in cases:
        Image.open(case.image).save(folder / f"{case.identifier}.png")
        box = {"label": "os lunatum", "shape_type": "rectangle", "points": [[40, 50], [60, 70]]}
        content = {"imagePath": f"{case.identifier}.png", "shapes": [box, {**box, "label": "plate"}]}
        (folder / f"{case.identifier}.json").write_text(json.dumps(content))


def write_label_maps(folder, cases):
    """Radius and lunate as 1 and 2."""
    folder.mkdir()
    for case in cases:
        Image.open(case.image).save(folder / f"{case.identifier}.png")
        masks = unpack_masks(load_sample(case, right_hand=False).bones)
        labels = np.where(masks[BONE_NAMES.index("Lunate")], 2, masks[BONE_NAMES.index("DistalRadius")])
        Image.fromarray(labels.astype(np.uint8)).save(folder / f"{case.identifier}_seg.png")


@pytest.fixture
def outside(monkeypatch):
    """In place of the hub, whose data set is there already; of the browser; and of the Ctrl-C that ends the viewer."""

    def serve(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: SimpleNamespace(sha="c0ffee"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: None)
    monkeypatch.setattr(webbrowser, "open", lambda address: True)
    monkeypatch.setattr(ViewerServer, "serve_forever", serve)


@pytest.mark.usefixtures("outside", "segmented_once")
@pytest.mark.parametrize("page", RUN)
def test_the_examples_of_a_page_run_and_print_what_it_says(page, files, tmp_path, monkeypatch, capsys):
    shutil.copytree(files, tmp_path, dirs_exist_ok=True, copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    found = blocks(page_text(page))
    for block in found:
        if block.marker.startswith("file "):
            (tmp_path / block.marker.split()[1]).write_text(block.text)
    names: dict[str, object] = {}
    for block in found:
        if block.skipped:
            continue
        if block.kind == "python":
            exec(compile(block.text, page, "exec"), names)
        elif block.kind == "console":
            extra = shlex.split(block.marker)[1:] if block.marker.startswith("append ") else []
            for command, wanted in block.commands:
                program, *words = shlex.split(command)
                assert program == "jointwrist"
                capsys.readouterr()
                code = main([*words, *extra])
                printed = capsys.readouterr()
                assert code == 0, f"{command}\n{printed.err}"
                assert not wanted or matches(wanted, printed.out), f"{command}\n{printed.out}"
