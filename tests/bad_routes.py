"""Take every bad file through one route, in a process of its own.

The last line of `told.jsonl` is the file at work, should the process not come to its end. Each line names the file,
what became of it ("read", "refused" or "failed"), the message, the seconds, and the peak memory in bytes beyond what
the process held before.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import bad_corpus
import bad_files
import matplotlib.font_manager  # noqa: F401 - its first import lists the system's fonts by a program
import numpy as np
import torch
from bad_corpus import BadFile

import jointwrist.engine.convert_authors_checkpoint  # noqa: F401 - not while the files are watched
from jointwrist.cli import main
from jointwrist.data.dataset.check import check_dataset
from jointwrist.data.dataset.label_files import read_masks
from jointwrist.data.dataset.tables import read_boxes, read_scores, read_spacings
from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.data.load import load_radiograph
from jointwrist.data.numpy_files import read_npz
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.text import printable
from jointwrist.viewer.describe import describe_model
from jointwrist.viewer.radiographs import Radiographs
from jointwrist.viewer.server import ViewerServer
from jointwrist.weights.checkpoint import load_weights

#: What runs other programs or foreign code.
RUNS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.startfile", "pty.spawn", "pickle.find_class")

#: How each kind of file is read.
READERS: dict[str, Callable[[Path], object]] = {
    "radiograph": load_radiograph,
    "masks": lambda path: read_masks(path, bad_files.RADIOGRAPH.shape),
    "truth": lambda path: read_npz(path, ("eroded", "healthy")),
    "scores": read_scores,
    "boxes": lambda path: read_boxes(path, {"0001_0001_L"}),
    "metadata": read_spacings,
    "weights": load_weights,
}


class Watch:
    """Writes a line a file, and refuses what no file may bring about."""

    def __init__(self, out: Path):
        self.out, self.file = out.resolve(), (out / "told.jsonl").open("w", buffering=1)
        self.broken: list[str] = []
        self.watching = False
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple) -> None:
        """Note programs that are started, code that is unpickled, and files opened for writing outside the folder."""
        if not self.watching:
            return
        if event in RUNS:
            self.broken.append(f"{event} {arguments}"[:300])
        elif event == "open" and isinstance(arguments[0], (str, bytes)) and self._writes(arguments):
            path = Path(os.path.realpath(os.fsdecode(arguments[0])))
            if not path.is_relative_to(self.out) and path != Path(os.devnull):
                self.broken.append(f"wrote {path}")

    @staticmethod
    def _writes(arguments: tuple) -> bool:
        _, mode, flags = arguments
        return any(letter in mode for letter in "wax+") if mode else bool(flags & (os.O_WRONLY | os.O_RDWR))

    @contextlib.contextmanager
    def at(self, file: BadFile) -> Iterator[SimpleNamespace]:
        """Measure what the block does with a file; the block sets `outcome` and `message`."""
        self.broken.clear()
        name = os.fsencode(file.path.name).decode("utf-8", "backslashreplace")
        self.file.write(f'{{"name": {json.dumps(name)}, "at work": true}}\n')
        before, began = _memory("VmRSS"), time.monotonic()
        _reset_peak()
        told = SimpleNamespace(outcome="read", message="")
        self.watching = True
        try:
            yield told
        except DataError as error:
            told.outcome, told.message = "refused", str(error)
        except Exception:
            told.outcome, told.message = "failed", traceback.format_exc()
        finally:
            self.watching = False
        if self.broken:
            told.outcome, told.message = "failed", "; ".join(self.broken)
        elif told.outcome == "refused" and not _names(told.message, file.path):
            told.outcome, told.message = "failed", f"the message names no file: {told.message}"
        line = {
            "name": name, "kind": file.kind, **vars(told), "seconds": time.monotonic() - began,
            "bytes": _memory("VmHWM") - before,
        }  # fmt: skip
        self.file.write(json.dumps(line) + "\n")


def _names(message: str, path: Path) -> bool:
    """Whether a message names a file: by what a terminal can show of its name, or by a link's or release's own path."""
    told = "".join(message.split())
    return any("".join(name.split()) in told for name in (path.stem, printable(path.stem), "release-"))


def _memory(field: str) -> int:
    """Resident memory of this process, or its peak, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(field)


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def command(told: SimpleNamespace, *arguments: str) -> None:
    """Run the command line; a message on the standard error with code 2 is a refusal."""
    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = main(arguments)
    told.message = streams[1].getvalue()
    told.outcome = {0: "read", 2: "refused"}.get(code, "failed")


def reader(files: list[BadFile], out: Path, watch: Watch) -> None:
    """Every file by the reader of its kind."""
    for file in files:
        with watch.at(file):
            found = READERS[file.kind](file.path)
            if file.kind == "radiograph":
                assert found.pixels.ndim == 2 and np.isfinite(found.pixels).all()


def _predictor() -> Predictor:
    """The shipped network on small images, after its first radiograph, for which a scan may have been compiled."""
    built = Predictor.from_pretrained("jointwrist_tiny", "cpu", localise=False)
    built.image_size, built.detail_size = 64, 96
    built(bad_files.RADIOGRAPH)
    return built


def predict(files: list[BadFile], out: Path, watch: Watch) -> None:
    """Radiographs by `jointwrist predict`, each as a whole; other files are radiographs by their ending, or none."""
    from jointwrist.inference import predictor
    from jointwrist.outputs import overlay

    overlay.draw_overlay = functools.partial(overlay.draw_overlay, side=240)  # of radiographs of 72 x 64 pixels
    built = _predictor()
    predictor.Predictor.from_pretrained = classmethod(lambda *_, **__: built)
    for file in files:
        with watch.at(file) as told:
            command(told, "predict", "-o", str(out / "predicted"), "--field", "whole", "--", str(file.path))


def convert(files: list[BadFile], out: Path, watch: Watch) -> None:
    """Every file as a checkpoint, by `jointwrist models convert`."""
    for file in files:
        with watch.at(file) as told:
            target = str(out / "converted.safetensors")
            command(told, "models", "convert", "--model", bad_corpus.MODEL, "--", str(file.path), target)


def viewer(files: list[BadFile], out: Path, watch: Watch) -> None:
    """Every file dropped on the page, and looked at where it is taken; links are opened by their path instead."""
    built = _predictor()
    radiographs = Radiographs(built)
    with ViewerServer(radiographs, describe_model(built), port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = urlsplit(server.url)

        def ask(method: str, place: str, body: bytes | None = None) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(root.hostname, root.port, timeout=120)
            connection.request(method, root.path + place, body, {"Origin": f"http://{root.netloc}"})
            reply = connection.getresponse()
            content = reply.read()
            connection.close()
            return reply.status, content

        for file in files:
            with watch.at(file) as told:
                if file.path.is_file() and not file.path.is_symlink():
                    name = quote(os.fsencode(file.path.name))
                    status, content = ask("POST", f"radiographs?name={name}", file.path.read_bytes())
                    key = json.loads(content).get("key")
                else:
                    (key,), status = radiographs.add_files([file.path]), 201
                if status == 201:
                    status, content = ask("GET", f"radiographs/{key}")
                    ask("DELETE", f"radiographs/{key}")
                if status != 200:
                    told.message = f"{status} {json.loads(content)['error']}"
                    told.outcome = "refused" if status in (413, 422) else "failed"
        server.shutdown()
    radiographs.close()


def checker(files: list[BadFile], out: Path, watch: Watch) -> None:
    """Every file in its place of a small folder in the released layout, by the checker: it finds what readers do."""
    for number, file in enumerate(files):
        hostile_name = file.path.parent.name == "names"
        image = file.path.name if hostile_name else f"0001_0001_L{file.path.suffix}"
        place = {
            "radiograph": f"BoneSegmentation/images/{image}",
            "masks": "BoneSegmentation/masks/train/0001_0001_L.npy",
            "truth": "PhantomTruth/0001_0001_L.npz",
            "scores": "SvdHBEScoreClassification/JointBE_SvdH_GT.json",
            "boxes": "JointLocationDetection/Joints.coco.json",
            "metadata": "Metadata.xlsx",
        }.get(file.kind)
        if place is None or (file.kind == "radiograph" and file.path.suffix not in IMAGE_SUFFIXES - {".npy"}):
            continue
        root = out / f"release-{number}"
        contents = {
            "BoneSegmentation/images/0001_0001_L.bmp": bad_files.picture("BMP"),
            "BoneSegmentation/masks/train/0001_0001_L.npy": bad_files.array(bad_files.MASKS),
        }
        if file.kind == "radiograph" and not hostile_name:
            del contents["BoneSegmentation/images/0001_0001_L.bmp"]
        for name, content in contents.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).unlink(missing_ok=True)
        if file.path.is_symlink():
            (root / place).symlink_to(file.path.readlink())
        elif file.path.is_file():
            shutil.copyfile(file.path, root / place)
        else:
            os.mkfifo(root / place)
        with watch.at(file) as told:
            faults = [fault for fault in check_dataset(root) if fault.severity == "error"]
            told.message = "; ".join(f"{fault.path}: {fault.message}" for fault in faults)
            told.outcome = "refused" if faults else "read"
            if not faults:
                try:
                    READERS[file.kind](root / place)
                except DataError as error:
                    told.outcome, told.message = "failed", f"the reader refuses it, the checker does not: {error}"


ROUTES = {route.__name__: route for route in (reader, checker, predict, convert, viewer)}


def run(route: str, corpus: Path, out: Path, here: Path) -> None:
    """Take the corpus through a route, in a process that works in the folder `here` and writes to `out`."""
    out.mkdir()
    with (out / "printed.txt").open("w") as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
    os.chdir(here)
    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tempfile.tempdir = str(out / "temporary")
    Path(tempfile.tempdir).mkdir()
    files = bad_corpus.found(corpus)
    watch = Watch(out)
    ROUTES[route](files, out, watch)
