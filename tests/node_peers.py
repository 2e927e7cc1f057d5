"""What stands around a node in the tests: a radiograph to send, and an archive that keeps what it gets."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partialmethod
from io import BytesIO
from pathlib import Path
from socketserver import BaseServer
from types import SimpleNamespace

import numpy as np
import pydicom
import torch
from dicom_files import make
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    Verification,
)
from pynetdicom.transport import AssociationServer
from torch import nn

from jointwrist.inference.predictor import Predictor
from jointwrist.node import run
from jointwrist.node.config import NodeConfig, PeerConfig
from jointwrist.node.web import WebServer
from jointwrist.phantom import PhantomConfig, make_wrist

# Nodes and archives look for news and for their end every tenth of a second, not every half.
run.POLL = 0.1
for server in (AssociationServer, WebServer):
    server.serve_forever = partialmethod(BaseServer.serve_forever, poll_interval=0.1)

RESULTS = (
    SegmentationStorage,
    ComprehensiveSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
)


class Disc(nn.Module):
    """A network that finds a disc for every bone."""

    def forward(self, image: torch.Tensor) -> SimpleNamespace:
        count, size = len(image), image.shape[-1]
        y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        disc = ((x - size / 2) ** 2 + (y - size / 2) ** 2 < (size / 4) ** 2).float()
        return SimpleNamespace(
            mask_logits=(20 * disc - 10).expand(count, 14, size, size),
            erosion_logits=torch.logit(torch.tensor([0.9, 0.8, 0.7])).expand(count, 6, 3),
            roi_boxes=torch.tensor([10.0, 10, 60, 60]).expand(count, 6, 4),
            roi_valid=torch.ones(count, 6, dtype=torch.bool),
        )


def discs() -> Predictor:
    """A predictor that takes no time."""
    return Predictor(Disc(), image_size=128, name="disc", device="cpu", localise=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def radiograph(seed: int = 3, size: int = 128, **attributes) -> pydicom.FileDataset:
    """A phantom wrist as a CR image of its own study."""
    sample = make_wrist(seed, 0, PhantomConfig(size=size))
    header = dict(
        StudyInstanceUID=generate_uid(), SeriesInstanceUID=generate_uid(), StudyDate="20200131", StudyTime="1015",
        StudyID="S1", AccessionNumber="A-77", ReferringPhysicianName="", PatientBirthDate="", PatientSex="F",
        SeriesNumber=1, InstanceNumber=1, BodyPartExamined="WRIST", ViewPosition="PA", Laterality=sample.side,
    )  # fmt: skip
    return make((sample.image[0] * 4095).round().astype(np.uint16), **(header | attributes))


def send(
    port: int, radiographs, called: str = "JOINTWRIST", calling: str = "MODALITY", storage=None
) -> list[int | None]:
    """C-STORE radiographs over one association; return their statuses, None for what got no answer."""
    entity = AE(ae_title=calling)
    entity.add_requested_context(storage or ComputedRadiographyImageStorage)
    association = entity.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        return []
    statuses = [
        association.send_c_store(item).get("Status") if association.is_established else None for item in radiographs
    ]
    if association.is_established:
        association.release()
    return statuses


class Archive:
    """A storage provider that keeps every object in memory, as often as it comes; `answer` may refuse."""

    def __init__(self, port: int = 0, answer: int = 0x0000):
        self.got: list[pydicom.Dataset] = []
        self.answer, self.port = answer, port or free_port()
        self._server = None

    def __enter__(self) -> Archive:
        entity = AE(ae_title="ARCHIVE")
        for storage in (*RESULTS, Verification):
            entity.add_supported_context(storage)
        handlers = [(evt.EVT_C_STORE, self._keep)]
        self._server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, event) -> int:
        if self.answer == 0:
            self.got.append(pydicom.dcmread(BytesIO(event.encoded_dataset())))
        return self.answer

    def uids(self) -> list[str]:
        return sorted(item.SOPInstanceUID for item in self.got)

    def radiographs(self) -> list[str]:
        """SOP instance UIDs of the radiographs that the segmentations refer to."""
        return sorted(
            item.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
            for item in self.got
            if item.Modality == "SEG"
        )

    @property
    def whole_peer(self) -> PeerConfig:
        """This archive as a peer that gets all results."""
        return PeerConfig("archive", "ARCHIVE", "127.0.0.1", self.port)

    @property
    def peer(self) -> PeerConfig:
        """This archive as a peer that gets two results of each radiograph, which takes less time."""
        return replace(self.whole_peer, outputs=("seg", "pr"))


@contextmanager
def running(config: NodeConfig, predictor):
    """A node in a thread of this process."""
    node = run.Node(config, predictor)
    thread = threading.Thread(target=node.run, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        node.stop()
        thread.join(60)
        assert not thread.is_alive()


def wait_for(condition, seconds: float = 120.0) -> None:
    """Wait until something holds; a busy machine may need a minute."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def tree(folder: Path) -> list[str]:
    """Files of a folder, by their relative paths."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
