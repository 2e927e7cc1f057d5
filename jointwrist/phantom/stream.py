"""PyTorch datasets of phantom wrists made on the fly: wrist i of seed s is the same in every process."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from jointwrist.anatomy import NUM_JOINTS, WRIST, Anatomy
from jointwrist.config import digest
from jointwrist.data.batches.crop_erosions import crop_map
from jointwrist.data.batches.torch_datasets import sample_to_item
from jointwrist.data.preprocess import prepare_image
from jointwrist.data.sample import Scope, WristSample, as_right_hand
from jointwrist.files import write_arrays
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.phantom.narrowing import with_narrowing

#: Environment variable with a folder where streams store their wrists, to share them between runs; optional.
KEEP = "JOINTWRIST_STREAM_FOLDER"


class PhantomStream(Dataset):
    """Whole phantom radiographs in right-hand orientation.

    Args:
        length: Wrists of one epoch; larger indices are further wrists.
        seed: Seed of the phantoms.
        config: Phantom configuration; its size is the side in pixels.
        pixel_truth: Whether items say which pixels are eroded.
        anatomy: The wrist, or `wrist_narrowing`, whose items have the scores of narrowing.
    """

    def __init__(
        self, length: int, seed: int, config: PhantomConfig, pixel_truth: bool = False, anatomy: Anatomy = WRIST
    ):
        self.length, self.seed, self.config, self.pixel_truth = length, seed, config, pixel_truth
        self.anatomy = anatomy
        kept = os.environ.get(KEEP)
        self.kept = Path(kept) / digest({"seed": seed, **asdict(config)}) if kept else None

    def __len__(self) -> int:
        return self.length

    def wrist(self, index: int) -> WristSample:
        """Make one wrist in right-hand orientation, or read it if wrists are stored."""
        if self.kept is None:
            return as_right_hand(make_wrist(self.seed, index, self.config))
        path = self.kept / f"{index:06d}.npz"
        if not path.is_file():
            write_wrist(path, as_right_hand(make_wrist(self.seed, index, self.config)))
        return read_wrist(path)

    def __getitem__(self, index: int) -> dict[str, object]:
        wrist = with_narrowing(self.wrist(index), self.anatomy)
        return sample_to_item(wrist if self.pixel_truth else replace(wrist, eroded=None), self.config.size)


def write_wrist(path: Path, wrist: WristSample) -> None:
    """Write a phantom wrist without its healthy bones; lossless, since phantoms have 256 grey levels."""
    write_arrays(
        path, image=np.round(wrist.image * 255).astype(np.uint8), bones=wrist.bones, eroded=wrist.eroded,
        scores=wrist.scores, boxes=wrist.boxes, spacing_mm=np.float64(wrist.spacing_mm),
        families=np.array(wrist.families), narrowing=np.array(wrist.narrowing, np.int8),
        not_separable=np.array(wrist.scope.not_separable), findings=np.array(wrist.scope.findings, np.str_),
        who=np.array([wrist.identifier, wrist.patient, wrist.side]), mirrored=np.bool_(wrist.mirrored),
    )  # fmt: skip


def read_wrist(path: Path) -> WristSample:
    """Read what `write_wrist` wrote."""
    with np.load(path, allow_pickle=False) as file:
        identifier, patient, side = file["who"].tolist()
        return WristSample(
            image=(file["image"] / 255).astype(np.float32), bones=file["bones"], eroded=file["eroded"],
            scores=file["scores"], boxes=file["boxes"], spacing_mm=float(file["spacing_mm"]),
            identifier=identifier, patient=patient, side=side, mirrored=bool(file["mirrored"]),
            families=tuple(file["families"].tolist()), narrowing=tuple(file["narrowing"].tolist()),
            scope=Scope(tuple(file["not_separable"].tolist()), tuple(file["findings"].tolist())),
        )  # fmt: skip


class PhantomCropStream(Dataset):
    """Joint crops of phantom radiographs: six consecutive indices share a wrist.

    Args:
        stream: Source of the wrists.
        size: Side of the square crop in pixels.
    """

    def __init__(self, stream: PhantomStream, size: int):
        self.stream, self.size = stream, size
        self._held: tuple[int, WristSample] | None = None

    def __len__(self) -> int:
        return len(self.stream) * NUM_JOINTS

    def __getitem__(self, index: int) -> dict[str, object]:
        wrist, joint = divmod(index, NUM_JOINTS)
        if self._held is None or self._held[0] != wrist:
            self._held = (wrist, self.stream.wrist(wrist))
        sample = self._held[1]
        side = sample.image.shape[-1]
        x0, y0, x1, y1 = (round(float(v)) for v in sample.boxes[joint])
        place = slice(max(y0, 0), min(y1, side)), slice(max(x0, 0), min(x1, side))
        eroded = (sample.eroded[place] >> joint) & 1 if self.stream.pixel_truth else None
        return {
            "image": prepare_image(torch.from_numpy(sample.image[:, *place].copy())[None], self.size)[0],
            **crop_map(eroded, self.size),
            "score": torch.tensor(int(sample.scores[joint])),
            "joint": torch.tensor(joint),
            "identifier": sample.identifier,
            "patient": sample.patient,
            "side": sample.side,
        }
