"""What the tests of DICOM results share: a radiograph, a network that knows its labels, and a validator."""

from __future__ import annotations

import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import torch
from dicom_files import make, save
from pydicom.uid import generate_uid
from torch import nn

from jointwrist.data.sample import unpack_masks
from jointwrist.phantom import PhantomConfig, make_wrist

SIZE = 160
BOXES = torch.tensor([[10.0 * j, 5, 10 * j + 40, 60] for j in range(6)])


class Recall(nn.Module):
    """A network that answers an image with labels it knows by heart, in the right-hand orientation of all networks."""

    def __init__(self, masks: np.ndarray, side: str):
        super().__init__()
        self.masks = torch.from_numpy(np.ascontiguousarray(masks[..., ::-1] if side == "L" else masks))

    def forward(self, image: torch.Tensor) -> SimpleNamespace:
        cumulative = torch.tensor([[0.9, 0.8, 0.7], [0.25, 0.1, 0.05], [0.6, 0.2, 0.1]]).repeat(2, 1)
        return SimpleNamespace(
            mask_logits=(20.0 * self.masks - 10)[None],
            erosion_logits=torch.logit(cumulative)[None],
            roi_boxes=BOXES[None],
            roi_valid=torch.tensor([True] * 5 + [False])[None],
        )


def write_radiograph(folder, side, **attributes):
    """A phantom wrist as a valid CR image, and its masks."""
    config = PhantomConfig(size=SIZE, field_of_view=(100.0, 100.0))
    sample = next(s for s in (make_wrist(3, index, config) for index in range(8)) if s.side == side and not s.mirrored)
    header = dict(
        StudyInstanceUID=generate_uid(),
        SeriesInstanceUID=generate_uid(),
        StudyDate="20200131",
        StudyTime="1015",
        StudyID="S1",
        AccessionNumber="A-77",
        ReferringPhysicianName="Roe^Richard",
        PatientBirthDate="19500101",
        PatientSex="F",
        PatientAddress="1 Secret Street",
        PatientAge="070Y",
        OperatorsName="Poe^Pat",
        InstitutionName="Secret Hospital",
        StudyDescription="secret study",
        SeriesNumber=1,
        InstanceNumber=1,
        Manufacturer="M",
        BodyPartExamined="WRIST",
        ViewPosition="PA",
        PatientOrientation=["L", "H"],
        Laterality=side,
    )
    pixels = (sample.image[0] * 4095).round().astype(np.uint16)
    return save(make(pixels, **(header | attributes)), folder / "radiograph.dcm"), unpack_masks(sample.bones)


def assert_valid(files):
    """Let dciodvfy look for errors, where it is installed."""
    if shutil.which("dciodvfy"):
        for file in files:
            verdict = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
            assert not [line for line in verdict.stderr.splitlines() if line.startswith("Error")], file.name
