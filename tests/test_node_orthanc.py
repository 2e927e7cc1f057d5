"""A real archive on this machine: a radiograph goes in by dcmtk, its results are found in its study and shown."""

from __future__ import annotations

import subprocess

import numpy as np
import programs
import pydicom
import pytest
from dicom_files import save
from node_peers import discs, free_port, radiograph, running, wait_for
from orthanc import Orthanc
from PIL import Image

from jointwrist.data.load import load_radiograph
from jointwrist.node.config import DicomConfig, HttpConfig, NodeConfig, PeerConfig
from jointwrist.outputs.dicom_objects import BUILDERS
from jointwrist.outputs.dicom_source import save_dataset

pytest.importorskip("pynetdicom", reason="the extra `node` is not installed")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    programs.need("Orthanc", "orthanc")
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield archive
    archive.stop()


@pytest.fixture(params=["dimse", "stow"])
def peer(request, orthanc):
    if request.param == "dimse":
        return PeerConfig("orthanc", "ORTHANC", "127.0.0.1", orthanc.dicom)
    return PeerConfig("orthanc", url=f"http://127.0.0.1:{orthanc.http}/dicom-web")


def test_results_lie_in_the_radiographs_study_and_are_shown(orthanc, peer, tmp_path):
    storescu = programs.need("storescu", "dcmtk")
    source = radiograph(size=128)
    path = save(source, tmp_path / "radiograph.dcm")
    config = NodeConfig(str(tmp_path / "node"), (peer,), DicomConfig(port=free_port()), HttpConfig(port=0))
    with running(config, discs()) as node:
        for port, title in ((orthanc.dicom, "ORTHANC"), (node.receiver.port, "JOINTWRIST")):
            subprocess.run([storescu, "-R", "-aec", title, "127.0.0.1", str(port), path], check=True, timeout=60)
        wait_for(lambda: len(orthanc.instances(source.StudyInstanceUID)) == 5)
        wait_for(lambda: node.figures()["unsent"] == 0)
    found = orthanc.instances(source.StudyInstanceUID)
    assert set(found) == {"CR", "SEG", "SR", "PR", "OT"}
    picture = tmp_path / "frame.png"
    picture.write_bytes(orthanc.get(f"/instances/{found['SEG']}/frames/3/rendered", "image/png"))
    shown = np.asarray(Image.open(picture).convert("L")) > 0
    y, x = np.mgrid[:128, :128]
    disc = (x - 64) ** 2 + (y - 64) ** 2 < 32**2
    assert (shown & disc).sum() / (shown | disc).sum() > 0.95
    overlay = tmp_path / "overlay.png"
    overlay.write_bytes(orthanc.get(f"/instances/{found['OT']}/rendered", "image/png"))
    assert len(np.unique(np.asarray(Image.open(overlay).convert("RGB")).reshape(-1, 3), axis=0)) > 100
    findscu = programs.need("findscu", "dcmtk")
    query = ["-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={source.StudyInstanceUID}", "-k", "Modality"]
    command = [findscu, "-S", "-v", "-aec", "ORTHANC", *query, "127.0.0.1", str(orthanc.dicom)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert all(f"CS [{name}" in answer.stdout + answer.stderr for name in ("CR", "SEG", "SR", "PR", "OT"))


def test_deidentified_results_lie_beside_the_identified_study(orthanc, tmp_path):
    """One study under two patients is not found by WADO-RS any more."""
    storescu = programs.need("storescu", "dcmtk")
    source = radiograph(size=128)
    path = save(source, tmp_path / "radiograph.dcm")
    (result,) = discs().predict([load_radiograph(path)])
    files = [save_dataset(build(result, True), tmp_path / f"{kind}.dcm") for kind, build in BUILDERS.items()]
    to = ["-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom)]
    subprocess.run([storescu, "-R", *to, path, *files], check=True, timeout=60)
    hidden = pydicom.dcmread(files[0]).StudyInstanceUID
    assert set(orthanc.instances(source.StudyInstanceUID)) == {"CR"}
    assert set(orthanc.instances(hidden)) == {"SEG", "SR", "PR", "OT"}
    for uid in (source.StudyInstanceUID, hidden):
        assert orthanc.get(f"/dicom-web/studies/{uid}", 'multipart/related; type="application/dicom"')
