"""From a radiograph in any orientation to masks and erosion scores in that same orientation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jointwrist.anatomy import NOT_SCORED, NUM_JOINTS
from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
from jointwrist.data.images import check_size
from jointwrist.data.load import load_radiograph
from jointwrist.data.polarity import has_bright_ground
from jointwrist.data.preprocess import normalise, resize_image
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.batches import Source, other_wrists, radiograph_batches
from jointwrist.inference.localiser import Localiser
from jointwrist.inference.locate import MAYBE_NEGATIVE, cautioned, locate
from jointwrist.inference.onnx_model import OnnxModel
from jointwrist.inference.result import WristResult
from jointwrist.inference.rotation import rotated
from jointwrist.inference.square import boxes_on_radiograph, masks_on_radiograph, to_square
from jointwrist.inference.upright import as_stored, upright
from jointwrist.inference.views import VIEWS, Prediction, Uncertainty, invert, merge, transform
from jointwrist.registry import model_spec
from jointwrist.weights.checkpoint import load_weights
from jointwrist.weights.hub import find_weights


class Predictor:
    """Segment the bones and score the joint surfaces of wrist radiographs.

    Left hands are mirrored for the network, which knows right hands with the fingers upwards only, and mirrored back;
    turned radiographs are turned and turned back. Radiographs that are not square are padded, never squeezed.

    Args:
        model: Joint network, or a segmentation network (then joints stay without scores).
        image_size: Side of the network's input in pixels.
        detail_size: Side of the image that the joint crops are cut from; None takes `image_size`.
        threshold: Probability from which a joint surface counts as eroded.
        mask_threshold: Probability from which a pixel belongs to a bone.
        raw_output: The network was trained without a sigmoid: its outputs are compared with `mask_threshold` directly.
        name: Name of the model, for the record.
        device: Where to run; None takes a GPU if there is one.
        tidy: Fill the holes of the masks, smooth their outlines (0.5 mm of 90), close slits along metacarpal shafts,
            cut what hangs on metacarpals by a neck, and drop stray islands, for a bone is one piece, and what lies
            under a black bar; False shows what the network says.
        field: "whole" takes every radiograph as it is; "auto" finds the wrist on radiographs of a whole hand or of two,
            and refuses radiographs without one. `from_pretrained` chooses "auto".
        turn: Degrees clockwise by which radiographs must be turned for the fingers to point upwards: 0, 90, 180 or 270.
            None finds out where no wrist is found on a radiograph as it lies; with "whole", it leaves radiographs as
            they lie.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        image_size: int = 512,
        detail_size: int | None = None,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        raw_output: bool = False,
        name: str = "",
        device: str | torch.device | None = None,
        tidy: bool = True,
        field: str = "whole",
        turn: int | None = None,
    ):
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.image_size, self.detail_size = image_size, detail_size or image_size
        self.threshold, self.name = threshold, name
        self.raw_output, self.tidy = raw_output, tidy
        #: Whether the joints look at those of the other hand where both are in a batch.
        self.pairs_hands = getattr(getattr(model, "erosion", None), "other_embedding", None) is not None
        self.localiser = Localiser(self.device) if field == "auto" else None
        self.turn = turn
        self.mask_logit = mask_threshold if raw_output else math.log(mask_threshold / (1 - mask_threshold))

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | torch.device | None = None,
        field: str = "auto",
        turn: int | None = None,
        **download: Any,
    ) -> Predictor:
        """Load weights together with the sizes and thresholds that belong to them.

        Args:
            source: Weight file; ONNX program of `jointwrist export`; folder with `best.safetensors`; name of a model
                whose weights come with the package; or repository on the Hugging Face hub.
            device: Where to run; None takes a GPU if there is one.
            field: "auto" finds the wrist on each radiograph, "whole" takes radiographs as they are.
            turn: Degrees clockwise by which radiographs are turned first; None finds out.
            **download: For a repository, `revision`, `token` and what else `huggingface_hub.hf_hub_download` takes.

        Raises:
            DataError: There are no such weights, or they are not for whole radiographs.
        """
        path = find_weights(source, **download)
        if path.suffix == ".onnx":
            model: nn.Module = OnnxModel(path)
            info = model.info
        else:
            model, info = load_weights(path)
        task = model_spec(info["model"]).task
        if task not in ("joint", "segmentation"):
            raise DataError(
                f"{path}: {info['model']} is a model for {task}; whole radiographs need joint or segmentation"
            )
        thresholds = info.get("thresholds", {})
        return cls(
            model,
            image_size=info["image_size"],
            detail_size=info.get("detail_size"),
            threshold=thresholds.get("erosion", 0.5),
            mask_threshold=thresholds.get("mask", 0.5),
            raw_output=info.get("config", {}).get("segmentation", {}).get("raw_output", False),
            name=info["model"],
            device=device,
            field=field,
            turn=turn,
        )

    def __call__(
        self,
        source: Source | Sequence[Source],
        side: str | None = None,
        *,
        tta: bool = False,
        batch_size: int = 4,
        window: int = 0,
    ) -> WristResult | list[WristResult]:
        """Predict one radiograph or several.

        Args:
            source: File (BMP, PNG, DICOM ...), (H, W) array, folder, or a list of them; a warning names what of a
                folder is left out.
            side: "L" or "R", the hand on the radiograph; None takes it from the file, else from the bones, else a right
            hand.
            tta: Average over enlarged, reduced and turned views, five times the work; the result's `uncertainty` then
                says how far they lie apart.
            batch_size: Radiographs that go through the network at once.
            window: Which of several VOI LUTs or windows of a DICOM file, from 0.

        Returns:
            One result; a list for a folder, a list, or a radiograph of two hands.

        Raises:
            DataError: A file cannot be read, or shows no wrist; the message names it.
        """
        single = isinstance(source, np.ndarray) or (isinstance(source, (str, Path)) and not Path(source).is_dir())
        sources: list[Source] = []
        for item in [source] if isinstance(source, (str, Path, np.ndarray)) else source:
            sources += [item] if isinstance(item, np.ndarray) else find_radiographs([item], left_out=_warn_of)
        done = self.stream(sources, side, tta=tta, batch_size=batch_size, window=window)
        results = [result for _, found in sorted(done, key=itemgetter(0)) for result in found]
        return results[0] if single and len(results) == 1 else results

    def stream(
        self,
        sources: Sequence[Source],
        side: str | None = None,
        *,
        tta: bool = False,
        batch_size: int = 4,
        window: int = 0,
        names: Sequence[str] | None = None,
        refused: Callable[[DataError], None] | None = None,
    ) -> Iterator[tuple[int, list[WristResult]]]:
        """Predict files or arrays batch by batch; arguments as for a call but for those below.

        The two hands of a study go through the network together where it lets them look at each other. Otherwise the
        order is that of the sources.

        Args:
            sources: Files or arrays.
            names: What results and messages call the sources, whose own names may be patients'.
            refused: Called with a source that cannot be read or shows no wrist, which is then left out; without it the
                error is raised.

        Yields:
            Index of a source, and its results: one, or two of a radiograph of both hands.
        """
        for batch in radiograph_batches(sources, batch_size, self.pairs_hands):
            radiographs: list[tuple[int, Radiograph]] = []
            for index in batch:
                try:
                    radiograph = read_radiograph(sources[index], side, window=window, name=names and names[index])
                    radiographs += [(index, wrist) for wrist in self.locate(radiograph)]
                except DataError as error:
                    if refused is None:
                        raise
                    refused(error)
            results = self.predict([radiograph for _, radiograph in radiographs], tta)
            done = [(index, result) for (index, _), result in zip(radiographs, results, strict=True)]
            for index, found in groupby(done, key=itemgetter(0)):
                yield index, [result for _, result in found]

    def locate(self, radiograph: Radiograph) -> list[Radiograph]:
        """Return the radiograph with the `field` of its wrist and its `turn`, twice if it shows two wrists.

        Raises:
            DataError: There is no wrist, or the sides of two cannot be told.
        """
        if self.localiser is not None:
            return locate(self.localiser, radiograph, self.turn)
        _refuse_both_hands(radiograph)
        radiograph = cautioned(radiograph, MAYBE_NEGATIVE) if has_bright_ground(radiograph.pixels) else radiograph
        return [replace(radiograph, turn=self.turn or 0)]

    @torch.inference_mode()
    def predict(self, radiographs: Sequence[Radiograph], tta: bool = False) -> list[WristResult]:
        """Predict radiographs as one batch, each within its `field` and by its `turn`.

        Raises:
            DataError: A radiograph shows both hands by its header, and no field says which one is meant.
        """
        if not radiographs:
            return []
        for radiograph in radiographs:
            _refuse_both_hands(radiograph)
        detail = self.inputs(radiographs)
        inputs = {"other": torch.tensor(other_wrists(radiographs), device=self.device)} if self.pairs_hands else {}
        views = VIEWS if tta else VIEWS[:1]
        predictions = [invert(self._run(transform(detail, view), inputs), view) for view in views]
        if tta:
            prediction, uncertainty = merge(predictions, self.mask_logit, self.raw_output)
        else:
            prediction, uncertainty = predictions[0][0], None
        return self.results(radiographs, prediction, uncertainty)

    def inputs(self, radiographs: Sequence[Radiograph]) -> Tensor:
        """Return (N, 1, D, D) squares from 0 to 1, right hands with the fingers upwards; D is `detail_size`."""
        return torch.stack([to_square(radiograph, self.detail_size) for radiograph in radiographs]).to(self.device)

    def results(
        self,
        radiographs: Sequence[Radiograph],
        prediction: Prediction,
        uncertainty: Sequence[Uncertainty] | None = None,
    ) -> list[WristResult]:
        """Bring what the network says of `inputs` back to the radiographs."""
        return [
            self._result(radiograph, prediction, index, uncertainty and uncertainty[index])
            for index, radiograph in enumerate(radiographs)
        ]

    def _run(self, detail: Tensor, inputs: dict[str, Tensor]) -> Prediction:
        return Prediction.of(self.model(*self.images(detail), **inputs))

    def images(self, detail: Tensor) -> tuple[Tensor, ...]:
        """Return the arguments of the network: the squares at `image_size`, and as they are where they are larger."""
        images = (resize_image(detail, self.image_size), detail)
        return images[: 1 + (self.detail_size != self.image_size)]

    def _result(
        self, radiograph: Radiograph, prediction: Prediction, index: int, uncertainty: Uncertainty | None
    ) -> WristResult:
        wrist = upright(radiograph)
        probabilities = np.full(NUM_JOINTS, np.nan, np.float32)
        scores = np.full(NUM_JOINTS, NOT_SCORED, np.int64)
        boxes = np.full((NUM_JOINTS, 4), np.nan, np.float32)
        if prediction.cumulative is not None:
            cumulative = prediction.cumulative[index].cpu().numpy()
            seen = boxes_on_radiograph(wrist, prediction.boxes[index].cpu().numpy(), self.image_size)
            for joint in np.flatnonzero(prediction.valid[index].cpu().numpy()):
                probabilities[joint] = cumulative[joint, 0]
                scores[joint] = erosion_level(cumulative[joint], self.threshold)
                boxes[joint] = seen[joint]
        masks = masks_on_radiograph(wrist, prediction.masks[index], self.mask_logit, self.tidy)
        masks, boxes = as_stored(radiograph, masks, boxes)
        maps = None
        if prediction.heat_maps is not None:
            maps = prediction.heat_maps[index].cpu().numpy()
            maps = rotated(maps[..., ::-1] if radiograph.side == "L" else maps, -radiograph.turn)
        return WristResult(
            radiograph, masks, probabilities, scores, boxes, self.threshold, self.name, uncertainty, maps
        )


def erosion_level(cumulative: np.ndarray, threshold: float) -> int:
    """Turn (K,) cumulative probabilities P(level > k) into a level from 0 to K.

    Whether there is erosion follows the model's threshold on P(level > 0); how much follows the most probable level,
    which in an eroded joint is at least 1.
    """
    return max(1, int((cumulative >= 0.5).sum())) if cumulative[0] >= threshold else 0


def read_radiograph(
    source: Source,
    side: str | None = None,
    spacing_mm: float | None = None,
    window: int = 0,
    name: str | None = None,
) -> Radiograph:
    """Read a radiograph from a file, or take an (H, W) array of grey values, bright bone on dark ground.

    Arguments are those of `load_radiograph`.

    Raises:
        DataError: The file cannot be read, or the array has another shape.
    """
    if not isinstance(source, np.ndarray):
        return load_radiograph(source, side, spacing_mm, window, name)
    called = name or "an array"
    if source.ndim != 2 or source.size == 0:
        raise DataError(f"{called}: must be a grey image (H, W), not {source.shape}")
    check_size(called, source.shape[1], source.shape[0])
    with np.errstate(over="ignore"):
        grey = source.astype(np.float32) if source.dtype.kind in "biuf" else np.full(1, np.nan)
    if not np.isfinite(grey).all():
        raise DataError(f"{called}: holds nan, infinite or complex values, or no numbers; give finite grey values")
    pixels = normalise(torch.from_numpy(grey)).numpy()
    return Radiograph(pixels, spacing_mm, side, source=Path(name) if name else None)


def _warn_of(folder: Path, others: list[Path]) -> None:
    warnings.warn(describe_left_out(folder, others), stacklevel=4)


def _refuse_both_hands(radiograph: Radiograph) -> None:
    if radiograph.both_hands:
        raise DataError(f"{radiograph.source}: shows both hands; cut it to one and name the side")
