"""Files whose content is not what keeps them from being read: the message says so, and calls nothing damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from torch.utils.data import Dataset

from jointwrist.commands.messages import complain
from jointwrist.data.faults import Fault, refuse
from jointwrist.data.images import read_image
from jointwrist.data.importers.spreadsheet import read_sheet
from jointwrist.data.load import load_radiograph
from jointwrist.data.mask_formats import nifti, seg_nrrd
from jointwrist.data.mask_formats.predicted import find_masks
from jointwrist.data.numpy_files import read_npy, read_npz
from jointwrist.data.shapes.annotation_json import read_any_json, read_json
from jointwrist.engine.run_data.loaders import share_loader
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

READERS = {
    "a.png": read_image,
    "a.tif": read_image,
    "a.npy": read_npy,
    "a.npz": lambda path: read_npz(path, ["bits"]),
    "a.dcm": load_radiograph,
    "a.nii.gz": nifti.read,
    "a.seg.nrrd": seg_nrrd.read,
    "a.json": read_json,
    "b.json": read_any_json,
    "a.csv": lambda path: list(read_sheet(path, "file")),
}
PROBLEMS = {
    "empty": "is empty (0 bytes)",
    "folder": "is a folder",
    "link": "is a link to a file that does not exist",
    "absent": "no such file",
    "pointer": "is a pointer of Git LFS, not the file itself; run `git lfs pull`",
    "pipe": "is not a file",
    "locked": "cannot be read (Permission denied)",
}


def place(problem: str, path: Path, monkeypatch) -> None:
    """Put something at a path that cannot be read."""
    if problem == "empty":
        path.touch()
    elif problem == "folder":
        path.mkdir()
    elif problem == "link":
        path.symlink_to("nowhere")
    elif problem == "pipe":
        os.mkfifo(path)
    elif problem == "pointer":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    elif problem == "locked":
        path.write_bytes(b"content")
        path.chmod(0)
        if os.access(path, os.R_OK):  # the tests run as root
            opened = Path.open

            def locked(self, *arguments, **options):
                if self == path:
                    raise PermissionError(13, "Permission denied", str(self))
                return opened(self, *arguments, **options)

            monkeypatch.setattr(Path, "open", locked)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_reason_is_named(problem, tmp_path, monkeypatch):
    path = tmp_path / "file"
    place(problem, path, monkeypatch)
    assert why_unreadable(path).startswith(PROBLEMS[problem])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", READERS)
def test_no_reader_calls_it_damaged_or_waits(name, problem, tmp_path, monkeypatch):
    if (name, problem) == ("a.nii.gz", "folder"):
        pytest.skip("a folder of bones is a format")
    path = tmp_path / name
    place(problem, path, monkeypatch)
    with pytest.raises(DataError) as error:
        READERS[name](path)
    assert str(error.value).startswith(f"{path}: {PROBLEMS[problem]}")


def test_a_sound_file_is_readable(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    assert why_unreadable(path) is None


@pytest.mark.timeout(20)
def test_a_pipe_among_masks_is_no_mask(tmp_path):
    os.mkfifo(tmp_path / "0001_0001_L_masks.npz")
    assert find_masks(tmp_path, ["0001_0001_L"], needed=False) is None


class Broken(Dataset):
    """One item, which cannot be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _: int) -> None:
        refuse(Fault("truncated image", Path("wrist_L.png"), "damaged image (cut short); copy or export it again"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_names_the_file_without_a_traceback(workers):
    with pytest.raises(DataError) as error:
        list(share_loader(Broken(), 1, workers, 0, 1))
    assert str(error.value) == "wrist_L.png: damaged image (cut short); copy or export it again"


def test_an_error_of_the_file_system_begins_with_the_file(capsys):
    complain(PermissionError(13, "Permission denied", "run.yaml"))
    assert capsys.readouterr().err == "jointwrist: run.yaml: Permission denied\n"


def test_the_home_folder_is_not_expanded_in_python():
    with pytest.raises(DataError, match=r"~ is not the home folder here: write Path\(\.\.\.\)\.expanduser\(\)"):
        load_radiograph("~/wrist_L.png")
