"""The command `jointwrist data import`."""

from __future__ import annotations

import argparse

from jointwrist.data.importers import read_coco, read_labelme, write_dataset
from jointwrist.data.importers.patient_table import read_table
from jointwrist.data.importers.volumes import read_nifti, read_seg_nrrd
from jointwrist.data.shapes.label_names import read_map

_READERS = {"coco": read_coco, "labelme": read_labelme, "nifti": read_nifti, "seg.nrrd": read_seg_nrrd}


def run(arguments: argparse.Namespace) -> int:
    """Import annotated radiographs and print a summary."""
    mapping = read_map(arguments.map) if arguments.map else None
    notes: list[str] = []
    table = read_table(arguments.table, notes.append) if arguments.table else None
    read = _READERS[arguments.format]
    radiographs = [
        radiograph
        for source in arguments.sources
        for radiograph in read(source, arguments.images, mapping, arguments.outline)
    ]
    done = write_dataset(radiographs, arguments.out, table, arguments.shares, arguments.seed, arguments.allow_partial)
    splits = ", ".join(f"{split} {count}" for split, count in done.radiographs.items())
    count = sum(done.radiographs.values())
    print(f"{count} radiographs of {done.patients} patients ({splits}), {done.scored} with scores: {arguments.out}")
    for note in (*notes, *done.notes):
        print(f"note: {note}")
    if done.through_centres:
        print(f"outlines taken to run through pixel centres: {done.through_centres} of {done.outlines} (--outline)")
    if done.missing:
        print("radiographs that lack a bone: " + ", ".join(f"{bone} {count}" for bone, count in done.missing.items()))
    if done.eroded is not None:
        elsewhere = f"; {done.elsewhere} erosions at none of the six joint surfaces left out" if done.elsewhere else ""
        print(f"radiographs with outlined erosions: {done.eroded}{elsewhere}")
    print(f"check it with: jointwrist data check {arguments.out}")
    return 0
