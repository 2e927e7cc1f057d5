"""Take the pictures of docs/viewer.md: `python docs/pictures/make_viewer.py`, with the extra `dev` and a Chromium.

Two visits of a phantom wrist are written as DICOM files, opened in the viewer, and photographed in headless Chromium.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from jointwrist.data.sample import WristSample
from jointwrist.inference.predictor import Predictor
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.viewer.describe import describe_model
from jointwrist.viewer.radiographs import Radiographs
from jointwrist.viewer.server import ViewerServer

WEIGHTS = "jointwrist_tiny"
#: Two studies of the left hand of one patient.
SEED, VISITS = 3, (10, 12)
FOLDER = Path(__file__).parent
WINDOW = {"width": 1440, "height": 900}


def write_dicom(sample: WristSample, path: Path) -> None:
    """Write a phantom's radiograph as a DICOM file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
    dataset.Modality, dataset.ImageLaterality = "DX", sample.side
    dataset.PixelSpacing = [round(sample.spacing_mm, 6)] * 2
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.Rows, dataset.Columns = sample.image.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = np.round(sample.image[0] * 4095).astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


def photograph(page: Page, name: str) -> None:
    """Save what the page shows, with as few colours as it takes to keep the file small."""
    page.wait_for_timeout(500)
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    picture.save(FOLDER / name, optimize=True)


def main() -> None:
    """Take both pictures."""
    config = PhantomConfig(prevalence=0.3)
    predictor = Predictor.from_pretrained(WEIGHTS)
    radiographs = Radiographs(predictor)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        paths = [Path(folder) / f"phantom_visit_{number + 1}.dcm" for number in range(len(VISITS))]
        for index, path in zip(VISITS, paths, strict=True):
            write_dicom(make_wrist(SEED, index, config), path)
        radiographs.add_files(paths)
        with ViewerServer(radiographs, describe_model(predictor), port=0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport=WINDOW)
            page.goto(server.url)
            rows = page.locator("#radiographs li")
            rows.nth(1).locator(".open").click()
            page.wait_for_selector(".stage figcaption:has-text('visit_2')")
            scaphoid = page.locator('path.bone[data-bone="6"]').bounding_box()
            page.mouse.move(scaphoid["x"] + 0.35 * scaphoid["width"], scaphoid["y"] + 0.5 * scaphoid["height"])
            photograph(page, "viewer.png")
            rows.nth(0).locator(".open").click()
            page.wait_for_selector(".stage figcaption:has-text('visit_1')")
            rows.nth(1).hover()
            rows.nth(1).locator(".compare").click()
            page.wait_for_selector("#change:not(.hidden)")
            photograph(page, "viewer_visits.png")
            browser.close()
            server.shutdown()
    radiographs.close()


if __name__ == "__main__":
    main()
