"""Run `jointwrist data import`, and print what was imported."""

from __future__ import annotations

import argparse
from collections import Counter

from jointwrist.anatomy import load_anatomy
from jointwrist.data.importers import read_coco, read_labelme, write_dataset
from jointwrist.data.importers.cvat import read_cvat
from jointwrist.data.importers.mcp import import_mcp
from jointwrist.data.importers.patient_table import read_table
from jointwrist.data.importers.pictures import read_pictures
from jointwrist.data.importers.ram_h1200 import convert
from jointwrist.data.importers.volumes import read_nifti, read_seg_nrrd
from jointwrist.data.importers.yolo import read_yolo
from jointwrist.data.mask_formats.label_table import read_label_table
from jointwrist.data.shapes.label_names import read_map
from jointwrist.text import number_of

_READERS = {
    "coco": read_coco,
    "labelme": read_labelme,
    "cvat": read_cvat,
    "yolo": read_yolo,
    "nifti": read_nifti,
    "seg.nrrd": read_seg_nrrd,
    "png": read_pictures,
}


def run(arguments: argparse.Namespace) -> int:
    """Import annotated radiographs and print a summary."""
    anatomy = load_anatomy(arguments.anatomy)
    mapping = read_map(arguments.map, anatomy) if arguments.map else None
    if arguments.labels:
        named = read_label_table(arguments.labels).items()
        mapping = {**{number: (mapping or {}).get(name or "", name) for number, name in named}, **(mapping or {})}
    notes: list[str] = []
    table = read_table(arguments.table, notes.append, anatomy) if arguments.table else None
    read = _READERS[arguments.format]
    radiographs = [
        radiograph
        for source in arguments.sources
        for radiograph in read(source, arguments.images, mapping, arguments.outline, anatomy)
    ]
    done = write_dataset(
        radiographs, arguments.out, table, arguments.shares, arguments.seed, arguments.allow_partial, anatomy
    )
    splits = ", ".join(f"{split} {count}" for split, count in done.radiographs.items())
    count = sum(done.radiographs.values())
    what = f"{number_of(count, 'radiograph')} of {number_of(done.patients, 'patient')}"
    print(f"{what} ({splits}), {done.scored} with scores: {arguments.out}")
    for note in (*notes, *done.notes):
        print(f"note: {note}")
    if done.through_centres:
        print(f"outlines taken to run through pixel centres: {done.through_centres} of {done.outlines} (--outline)")
    if done.missing:
        print("radiographs that lack a bone: " + ", ".join(f"{bone} {count}" for bone, count in done.missing.items()))
        print("a bone that is not drawn counts as absent, also in training; annotate every visible bone")
    if done.eroded is not None:
        elsewhere = f"; {number_of(done.elsewhere, 'erosion')} at no joint surface left out" if done.elsewhere else ""
        print(f"radiographs with outlined erosions: {done.eroded}{elsewhere}")
    print(f"check it with: jointwrist data check {arguments.out} --for train")
    return 0


def run_ram_h1200(arguments: argparse.Namespace) -> int:
    """Import RAM-H1200 and print a summary."""
    done = convert(arguments.sources[0], arguments.out, arguments.official, arguments.doubtful, arguments.hand)
    splits = ", ".join(f"{split} {count}" for split, count in done.radiographs.items())
    what = "hand" if arguments.hand else "wrist"
    print(f"{number_of(sum(done.radiographs.values()), what)} ({splits}): {arguments.out}")
    for note in done.notes:
        print(f"note: {note}")
    for patients in done.united:
        print(f"patients taken for one person: {', '.join(patients)}")
    reasons = Counter(leak.reason for leak in done.leaks)
    if reasons:
        kept = "kept, as published" if arguments.official else "left out"
        listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        print(f"radiographs shared by two splits, or present twice, {kept}: {listed}; listed in leaks.csv")
    one, doubt, none = done.pieces
    print(f"outlined erosions: {one} at one joint surface, {doubt} in doubt, {none} at none")
    print(f"radiographs known to be free of erosions: {done.sound}")
    if done.missing:
        print(f"{what}s that lack a bone: " + ", ".join(f"{bone} {count}" for bone, count in done.missing.items()))
    print(f"check it with: jointwrist data check {arguments.out} --for train")
    return 0


def run_mcp(arguments: argparse.Namespace) -> int:
    """Import radiographs of finger joints and print a summary."""
    done = import_mcp(arguments.sources[0], arguments.out, arguments.shares, arguments.seed)
    splits = ", ".join(f"{split} {count}" for split, count in done.radiographs.items())
    what = f"{number_of(sum(done.radiographs.values()), 'radiograph')} of {number_of(done.joints, 'joint')}"
    print(f"{what} ({splits}): {arguments.out}")
    print(f"radiographs with overlapping bones: {done.overlapping}")
    return 0
