"""The page of what opens where says what is measured here, and leaves no output out."""

from __future__ import annotations

import numpy as np
import pytest
from interop.outputs import write_outputs
from interop.reading import OUTPUTS
from interop.table import END, START, complete, measure_all, measure_here, read_page, to_markdown

for package in ("highdicom", "monai", "nibabel", "nrrd", "pycocotools"):
    pytest.importorskip(package)


def entries(cells):
    """What must not differ between machines: versions and messages may."""
    return {
        (cell.output, cell.tool): (cell.opens, cell.content, cell.place, cell.overlap)
        for cell in cells
        if cell.version != "-"
    }


def test_the_page_has_every_output_and_tool_and_all_were_run():
    page = read_page()
    wanted = complete([])
    assert {cell.output for cell in page} == OUTPUTS.keys()
    assert [(cell.output, cell.tool) for cell in wanted] == sorted(
        ((cell.output, cell.tool) for cell in page), key=[(cell.output, cell.tool) for cell in wanted].index
    )
    assert not [cell for cell in page if cell.opens == "not run"]


def test_tools_that_are_here_read_the_outputs_as_the_page_says(tmp_path):
    write_outputs(tmp_path)
    measured, page = entries(measure_here(tmp_path, with_orthanc=False)), entries(read_page())
    assert len(measured) >= 10
    assert measured == {pair: page[pair] for pair in measured}


def test_a_wrong_mask_would_be_noticed(tmp_path):
    write_outputs(tmp_path)
    masks = np.load(tmp_path / "truth.npy")
    masks[4, 80, 70] ^= True
    np.save(tmp_path / "truth.npy", masks)
    content = {pair: entry[1] for pair, entry in entries(measure_here(tmp_path, with_orthanc=False)).items()}
    assert content["seg.dcm", "pydicom"] == content["wrist_masks.seg.nrrd", "pynrrd"] == "no"
    assert content["coco/instances.json", "pycocotools"] == content["pr.dcm", "pydicom"] == "no"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_tools_read_the_outputs_as_the_page_says():
    assert entries(measure_all()) == entries(read_page())


def test_tables_can_be_read_back(tmp_path):
    cells = complete([])
    page = tmp_path / "page.md"
    page.write_text(START + to_markdown(cells) + END)
    assert [(cell.output, cell.tool, cell.opens) for cell in read_page(page)] == [
        (cell.output, cell.tool, "not run") for cell in cells
    ]
