"""A pixel spacing that fits no wrist, from a wrong unit or a resized copy, is doubted where lengths in mm are given."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from jointwrist.cli import main
from jointwrist.data.dataset.check import check_dataset
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.ops.wrist_scale import CARPALS, spacing_doubt

#: Of a wrong unit (cm, and a decimal too many), and of copies of half and of twice the size.
WRONG = (0.1, 0.5, 2, 10)


@pytest.fixture(scope="module")
def sizes(masked):
    """Masks of phantoms, and the true side of their pixels in mm."""
    return [(masks.astype(bool), case.spacing_mm) for case, masks in masked if case.spacing_mm]


def test_true_spacings_are_not_doubted(sizes):
    assert sizes
    assert all(spacing_doubt(masks, (true, true)) is None for masks, true in sizes)
    masks, true = sizes[0]
    assert spacing_doubt(masks, (2 * true, true / 2)) is None, "oblong pixels of the same area"
    assert spacing_doubt(masks, None) is None


@pytest.mark.parametrize("factor", WRONG)
def test_a_wrong_factor_is_named(factor, sizes):
    for masks, true in sizes:
        doubt = spacing_doubt(masks, (factor * true, factor * true))
        found = float(doubt.split("would be ")[1].split(" times")[0])
        assert found == pytest.approx(factor, rel=0.2)


def test_without_a_whole_carpus_nothing_is_said(sizes):
    masks, true = sizes[0]
    for bone in CARPALS:
        part = masks.copy()
        part[bone] = False
        assert spacing_doubt(part, (10 * true, 10 * true)) is None


def test_the_checker_warns_of_it(phantom_root, tmp_path):
    from openpyxl import load_workbook

    root = shutil.copytree(phantom_root, tmp_path / "own")
    before = check_dataset(root)
    book = load_workbook(root / "Metadata.xlsx")
    sheet = book.active
    column = [cell.value for cell in sheet[1]].index("PixelSpacing")
    for row in list(sheet.iter_rows(min_row=2)):
        row[column].value = float(str(row[column].value).split(",")[0].strip("[] ")) / 10
    book.save(root / "Metadata.xlsx")
    faults = [fault for fault in check_dataset(root) if fault not in before]
    assert {(fault.kind, fault.severity) for fault in faults} == {("doubtful spacing", "warning")}
    named = {fault.message.partition(":")[0] for fault in faults}
    masked = {case.identifier for case in RamW600.open(root).cases if case.mask is not None and case.spacing_mm}
    assert named <= masked and len(named) > 0.8 * len(masked)


@pytest.mark.parametrize("factor", [1, 0.25])
def test_predict_says_it_on_the_printed_line(factor, phantom_root, tmp_path, capsys):
    case = next(case for case in RamW600.open(phantom_root).cases if case.mask is not None and case.spacing_mm)
    out = tmp_path / "out"
    words = ["predict", str(case.image), "--field", "whole", "--no-overlay", "-o", str(out)]
    assert main([*words, "--spacing", f"{factor * case.spacing_mm:.4f}"]) == 0
    notes = " ".join(json.loads((out / f"{case.image.stem}.json").read_text())["notes"])
    said = capsys.readouterr().out
    assert ("Doubtful pixel spacing" in notes) == ("oubtful pixel spacing" in said) == (factor != 1)


def test_the_carpus_of_an_adult_is_the_measure(sizes):
    lengths = [np.sqrt(masks[list(CARPALS)].any(0).sum()) * true for masks, true in sizes]
    assert 25 < np.mean(lengths) < 45  # of a square as large as the carpus, in mm
