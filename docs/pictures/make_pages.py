"""Take the pictures of the pages: `python docs/pictures/make_pages.py`, with the extra `dev` and a Chromium.

Two visits of a phantom wrist are written as DICOM files, opened in the viewer, and photographed in headless Chromium at
three widths. So is the report page of the demonstration. The overlay is that of the second visit. The import is that of
labelme's outlines of a phantom. `viewer`, `report` or `import` as an argument takes only those pictures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from jointwrist.anatomy import BONES, bone_index
from jointwrist.benchmark.report import write_report
from jointwrist.cli import main as jointwrist
from jointwrist.data.dataset.label_files import read_masks
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.images import read_image
from jointwrist.data.sample import WristSample, unpack_masks
from jointwrist.inference.predictor import Predictor
from jointwrist.outputs.overlay import paint_masks
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.viewer.describe import describe_model
from jointwrist.viewer.radiographs import Radiographs
from jointwrist.viewer.server import ViewerServer

WEIGHTS = "jointwrist_tiny"
#: Two studies of the left hand of one patient.
SEED, VISITS = 3, (10, 12)
FOLDER = Path(__file__).parent
#: Sizes of the window: a notebook, a tablet, a telephone.
WINDOWS = {"1280": (1280, 720), "768": (768, 1024), "390": (390, 844)}
#: Those at which a joint, two visits and erosion calls are shown too.
DETAILS = ("1280", "390")
#: Bytes that no picture exceeds.
MOST_BYTES = 200_000
#: Milliseconds for what a busy machine takes longer for.
PATIENCE = 300_000


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


def save(picture: Image.Image, name: str) -> None:
    """Save a picture with as many colours as keep it small."""
    for colours in (256, 128, 64, 32):
        stream = BytesIO()
        reduced = picture.convert("RGB").quantize(
            colours, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE
        )
        reduced.save(stream, "PNG", optimize=True)
        if stream.tell() <= MOST_BYTES:
            break
    (FOLDER / name).write_bytes(stream.getvalue())
    print(f"{name}: {stream.tell()} bytes, {colours} colours")


def photograph(page: Page, name: str) -> None:
    """Save what the window shows."""
    page.wait_for_timeout(800)
    save(Image.open(BytesIO(page.screenshot())), name)


def photograph_viewer(browser: Browser, folder: Path) -> None:
    """Take the viewer's pictures, and the overlay."""
    predictor = Predictor.from_pretrained(WEIGHTS)
    radiographs = Radiographs(predictor)
    paths = [folder / f"phantom_visit_{number + 1}.dcm" for number in range(len(VISITS))]
    for index, path in zip(VISITS, paths, strict=True):
        write_dicom(make_wrist(SEED, index, PhantomConfig(prevalence=0.3)), path)
    save(predictor(paths[1]).single().plot(), "phantom_overlay.png")
    radiographs.add_files(paths)
    with ViewerServer(radiographs, describe_model(predictor), port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, (width, height) in WINDOWS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(PATIENCE)
            page.goto(server.url)
            rows = page.locator("#radiographs li")
            rows.nth(1).locator(".open").click()
            page.wait_for_selector(".stage:not(.busy) figcaption:has-text('visit_2')")
            photograph(page, f"viewer_{name}.png")
            if name not in DETAILS:
                continue
            page.locator(".joint .title").last.click()
            photograph(page, f"viewer_joint_{name}.png")
            rows.nth(0).locator(".open").click()
            page.wait_for_selector(".stage:not(.busy) figcaption:has-text('visit_1')")
            rows.nth(1).locator(".compare").click()
            page.wait_for_selector("#change:not(.hidden)")
            page.evaluate("document.querySelector('#panel').scrollTo(0, 0); scrollTo(0, 0)")
            photograph(page, f"viewer_visits_{name}.png")
        server.shutdown()
    radiographs.close()


def photograph_report(browser: Browser, folder: Path) -> None:
    """Take the pictures of the report page of the demonstration, whose rows the documentation keeps."""
    report = write_report(FOLDER.parent / "demo", folder / "report.html")
    for name, (width, height) in WINDOWS.items():
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        page.goto(report.as_uri())
        photograph(page, f"report_{name}.png")
        if name in DETAILS:
            page.evaluate("document.querySelector('#erosion').scrollIntoView()")
            photograph(page, f"report_erosion_{name}.png")


def draw_import(browser: Browser, folder: Path) -> None:
    """Draw the outlines of a labelme file, and beside them the masks that the import makes of them."""
    phantom, drawn, imported = folder / "phantom", folder / "labelme", folder / "imported"
    size = ["--wrists", "16", "--size", "480", "--workers", "1"]
    jointwrist(["data", "phantom", str(phantom), *size, "--seed", str(SEED)])
    jointwrist(["data", "export", "labelme", str(phantom), str(drawn)])
    jointwrist(["data", "import", "labelme", str(drawn), str(imported)])
    case = RamW600.open(imported).segmentation("train")[0]
    radiograph = read_image(case.image)
    grey = Image.fromarray((255 * radiograph).astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(grey)
    for outline in json.loads((drawn / f"{case.identifier}.json").read_text(encoding="utf-8"))["shapes"]:
        points = [tuple(point) for point in outline["points"]]
        colour = BONES[bone_index(outline["label"])].colour
        draw.line([*points, points[0]], fill=colour, width=2)
    masks = paint_masks(radiograph, unpack_masks(read_masks(case.mask, radiograph.shape)), grey.size)
    sheet = Image.new("RGB", (2 * grey.width + 8, grey.height), "white")
    sheet.paste(grey, (0, 0))
    sheet.paste(Image.fromarray((255 * masks).astype(np.uint8)), (grey.width + 8, 0))
    save(sheet, "import.png")


def main() -> None:
    """Take the pictures."""
    pages = {"viewer": photograph_viewer, "report": photograph_report, "import": draw_import}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pages", nargs="*", choices=[[], *pages], metavar="PAGE", help="viewer, report, import (default: all)"
    )
    chosen = parser.parse_args().pages or list(pages)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        for page in chosen:
            pages[page](browser, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
