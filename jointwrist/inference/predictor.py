"""The predictor: masks and erosion scores of a radiograph in any orientation, in that same orientation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy, info_anatomy, shows_wrist
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.resample import resample
from jointwrist.errors import DataError
from jointwrist.inference.batches import other_wrists, radiograph_batches
from jointwrist.inference.engines.networks import Network, open_network
from jointwrist.inference.erosion_scores import erosion_scores
from jointwrist.inference.joint_scores import joint_scores
from jointwrist.inference.mask_cautions import with_lost_ends, with_mask_cautions
from jointwrist.inference.placement import Placement
from jointwrist.inference.postprocess import postprocessed_masks
from jointwrist.inference.prediction import Prediction
from jointwrist.inference.renamed_arguments import renamed
from jointwrist.inference.resolution import Resolution
from jointwrist.inference.result import WristResult, WristResults
from jointwrist.inference.rotation import known_rotation
from jointwrist.inference.scope.assess import assess_scope
from jointwrist.inference.search.localiser import WEIGHTS, Localiser
from jointwrist.inference.search.locate import locate
from jointwrist.inference.sources import Source, list_sources, read_radiograph
from jointwrist.inference.taken_whole import refuse_both_hands, take_whole, with_view_caution
from jointwrist.inference.test_time_augmentation import VIEWS, Uncertainty, invert, merge, transform
from jointwrist.weights.find import find_weights, weights_label
from jointwrist.weights.scope_model import ScopeModel
from jointwrist.weights.training_history import TrainingHistory

if TYPE_CHECKING:
    import torch
    from torch import nn


class Predictor:
    """Segment the bones and score the joint surfaces of wrist radiographs.

    Args:
        model: Joint network, or a segmentation network, which leaves joints without scores; a PyTorch module, or a
            network of `engines.networks.open_network`.
        image_size: Side of the network's input in pixels.
        detail_size: Side of the image that the joint crops are taken from; None takes `image_size`.
        threshold: Probability from which a joint surface counts as eroded.
        mask_threshold: Probability from which a pixel belongs to a bone.
        raw_output: The network was trained without a sigmoid: its outputs are compared with `mask_threshold` directly.
        name: Name of the model, for the results.
        weights: Name of its weight file, for the results (`weights.find.weights_label`).
        history: Training data of the weights, for the results; None if unknown.
        anatomy: Bones and joints of the network's outputs.
        device: Device that a PyTorch module runs on; None takes a GPU if there is one.
        postprocess: Clean the masks with prior knowledge of bones (`inference.postprocess`); False returns them as the
            network predicts them.
        localise: Find the wrist on radiographs of a whole hand or of both hands, and refuse radiographs without one;
            False uses every radiograph whole, as does a network of another anatomy.
        rotation: Degrees clockwise, 0, 90, 180 or 270, by which radiographs must be rotated for the fingers to point
            upwards. None tries other rotations if no wrist is found in the stored orientation; with
            `localise=False` it is 0.
        scope: Models that detect what is outside the scope of the weights; None does without.
        score_out_of_scope: Give joint surfaces outside that scope, and those on a radiograph that is too coarse, a
            score all the same; otherwise it is withheld.
    """

    def __init__(
        self,
        model: nn.Module | Network,
        *,
        image_size: int = 512,
        detail_size: int | None = None,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        raw_output: bool = False,
        name: str = "",
        weights: str = "",
        history: TrainingHistory | None = None,
        anatomy: Anatomy = WRIST,
        device: str | torch.device | None = None,
        postprocess: bool = True,
        localise: bool = True,
        rotation: int | None = None,
        scope: ScopeModel | None = None,
        score_out_of_scope: bool = False,
        **old_names: Any,
    ):
        options = {"postprocess": postprocess, "localise": localise, "rotation": rotation, **renamed(old_names)}
        if old_names:
            raise TypeError(f"Predictor has no argument {next(iter(old_names))!r}")
        if hasattr(model, "pairs_hands"):
            self.network: Network = model
        else:
            from jointwrist.inference.engines.torch_network import TorchNetwork

            self.network = TorchNetwork(model, device)
        self.device, self.engine = device, "torch"
        self.image_size, self.detail_size = image_size, detail_size or image_size
        self.threshold, self.name, self.weights, self.raw_output = threshold, name, weights, raw_output
        self.history, self.anatomy = history or TrainingHistory(), anatomy
        self.mask_logit = mask_threshold if raw_output else math.log(mask_threshold / (1 - mask_threshold))
        self.postprocess: bool = options["postprocess"]
        self.localise: bool = options["localise"] and shows_wrist(anatomy)
        self.rotation = known_rotation(options["rotation"])
        self.scope, self.score_out_of_scope = scope if shows_wrist(anatomy) else None, score_out_of_scope

    @property
    def model(self) -> nn.Module:
        """Return the PyTorch module; an ONNX program has none."""
        return self.network.model

    @property
    def pairs_hands(self) -> bool:
        """Return whether the erosion head uses features of the patient's other wrist when both are in a batch."""
        return self.network.pairs_hands

    @cached_property
    def localiser(self) -> Localiser:
        """Return the localiser, loaded when it is first needed."""
        return Localiser.load(self.device, self.engine)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | torch.device | None = None,
        *,
        engine: str | None = None,
        postprocess: bool = True,
        localise: bool = True,
        rotation: int | None = None,
        score_out_of_scope: bool = False,
        **download: Any,
    ) -> Predictor:
        """Load weights together with their image sizes and thresholds.

        Args:
            source: Weight file; ONNX program of `jointwrist export`; folder with `best.safetensors`; name of a model
                whose weights come with the package; or repository on the Hugging Face hub.
            device: As for `Predictor`.
            engine: "torch", "onnx" or "auto" (`engines.networks.open_network`); None takes what goes with the file.
            postprocess: As for `Predictor`.
            localise: As for `Predictor`.
            rotation: As for `Predictor`.
            score_out_of_scope: As for `Predictor`.
            **download: Options of `huggingface_hub.hf_hub_download` for a repository, such as `revision` and `token`.

        Raises:
            DataError: There are no such weights, or they are not for whole radiographs.
        """
        options = {"postprocess": postprocess, "localise": localise, "rotation": rotation, **renamed(download)}
        path = find_weights(source, **download)
        network, info = open_network(path, device, engine)
        task = info.get("task")
        if task not in ("joint", "segmentation"):
            raise DataError(
                f"{path}: {info['model']} is a model for {task}; whole radiographs need joint or segmentation"
            )
        thresholds = info.get("thresholds", {})
        predictor = cls(
            network,
            image_size=info["image_size"],
            detail_size=info.get("detail_size"),
            threshold=thresholds.get("erosion", 0.5),
            mask_threshold=thresholds.get("mask", 0.5),
            raw_output=info.get("config", {}).get("segmentation", {}).get("raw_output", False),
            name=info["model"],
            weights=weights_label(path),
            history=TrainingHistory.of(info),
            anatomy=info_anatomy(info),
            scope=ScopeModel.of(info),
            score_out_of_scope=score_out_of_scope,
            **options,
        )
        predictor.device, predictor.engine = device, engine or "torch"
        if path == find_weights(WEIGHTS):
            predictor.localiser = Localiser(network, info["image_size"], info.get("detail_size"))
        return predictor

    def __call__(
        self,
        source: Source | Sequence[Source],
        side: str | None = None,
        *,
        tta: bool = False,
        batch_size: int = 4,
        window: int = 0,
        spacing_mm: float | None = None,
    ) -> WristResults:
        """Predict one radiograph or several.

        Args:
            source: File (BMP, PNG, DICOM ...), (H, W) array, folder, or a list of them.
            side: "L" or "R", the hand on the radiograph; None takes it from the file, else from the bones, else takes
                a right hand.
            tta: Average over enlarged, reduced and rotated views, which takes five times as long; the `uncertainty` of
                a result then says how far they agree.
            batch_size: Number of radiographs that go through the network at once.
            window: Index of one of several VOI LUTs or windows of a DICOM file.
            spacing_mm: Width of a pixel of radiographs that state none, for lengths and areas in mm.

        Returns:
            One result per wrist, in the order of the radiographs; `single()` returns the only one.

        Raises:
            DataError: A file cannot be read, or shows no wrist; the message names it.
        """
        options = {"tta": tta, "batch_size": batch_size, "window": window, "spacing_mm": spacing_mm}
        done = self.stream(list_sources(source), side, **options)
        return WristResults(result for _, found in sorted(done, key=itemgetter(0)) for result in found)

    def stream(
        self,
        sources: Sequence[Source],
        side: str | None = None,
        *,
        tta: bool = False,
        batch_size: int = 4,
        window: int = 0,
        spacing_mm: float | None = None,
        names: Sequence[str] | None = None,
        refused: Callable[[DataError], None] | None = None,
    ) -> Iterator[tuple[int, list[WristResult]]]:
        """Predict files or arrays batch by batch, in their order.

        A network whose erosion head uses both hands receives the radiographs of a study together, which may change the
        order. Arguments are those of a call, and:

        Args:
            sources: Files or arrays.
            names: Names of the sources for results and messages; their own may be patients' names.
            refused: Called with the error of a source that cannot be read or shows no wrist, which is then left out;
                None raises the error.

        Yields:
            Index of a source, and its results: one, or two for a radiograph of both hands.
        """
        for batch in radiograph_batches(sources, batch_size, self.pairs_hands):
            wrists: list[tuple[int, Placement]] = []
            for index in batch:
                try:
                    name = names[index] if names else None
                    radiograph = read_radiograph(sources[index], side, spacing_mm, window, name)
                    wrists += [(index, placement) for placement in self.locate(radiograph)]
                except DataError as error:
                    if refused is None:
                        raise
                    refused(error)
            results = self.predict([placement for _, placement in wrists], tta)
            done = [(index, result) for (index, _), result in zip(wrists, results, strict=True)]
            for index, found in groupby(done, key=itemgetter(0)):
                yield index, [result for _, result in found]

    def locate(self, radiograph: Radiograph) -> list[Placement]:
        """Return the placement of each wrist on a radiograph: one or two.

        Raises:
            DataError: There is no wrist, or it is unclear which of two is the left one.
        """
        if self.localise:
            return locate(self.localiser, radiograph, self.rotation)
        return [take_whole(radiograph, self.anatomy, self.rotation)]

    def predict(self, placements: Sequence[Placement], tta: bool = False) -> list[WristResult]:
        """Predict placed wrists as one batch.

        Raises:
            DataError: The header of a radiograph states both hands, and nothing says which one is meant.
        """
        if not placements:
            return []
        for placement in placements if self.anatomy.sides else ():
            refuse_both_hands(placement.radiograph)
        other = other_wrists([placement.radiograph for placement in placements]) if self.pairs_hands else None
        detail, views = self.inputs(placements), VIEWS if tta else VIEWS[:1]
        predictions = [
            invert(self.network.predict(*self.images(transform(detail, view)), other=other), view) for view in views
        ]
        if tta:
            return self.results(placements, *merge(predictions, self.mask_logit, self.raw_output), detail=detail)
        return self.results(placements, predictions[0][0], detail=detail)

    def inputs(self, placements: Sequence[Placement]) -> np.ndarray:
        """Return (N, 1, D, D) images of placed wrists, of `detail_size` pixels; see `Placement.image`."""
        return np.stack([placement.image(self.detail_size) for placement in placements])

    def images(self, detail: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the network's arguments: `inputs` at `image_size`, and at `detail_size` where the two differ."""
        if self.detail_size == self.image_size:
            return (detail,)
        return np.stack([resample(image[0], (self.image_size,) * 2)[None] for image in detail]), detail

    def results(
        self,
        placements: Sequence[Placement],
        prediction: Prediction,
        uncertainty: Sequence[Uncertainty] | None = None,
        detail: np.ndarray | None = None,
    ) -> list[WristResult]:
        """Map the prediction on `detail`, which are the `inputs`, back to the radiographs."""
        images = self.inputs(placements) if detail is None else detail
        return [
            self._result(placement, image[0], prediction, index, uncertainty and uncertainty[index])
            for index, (placement, image) in enumerate(zip(placements, images, strict=True))
        ]

    def _result(
        self, placement: Placement, image: np.ndarray, prediction: Prediction, index: int, doubt: Uncertainty | None
    ) -> WristResult:
        logits = prediction.masks[index] - np.float32(self.mask_logit)
        report = None if self.scope is None else assess_scope(self.scope, image, logits)
        resolution = Resolution(placement.native_pixels, self.detail_size)
        joints, wrist, withhold = self.anatomy.joints, shows_wrist(self.anatomy), not self.score_out_of_scope
        limited = {joint.index for joint in joints if withhold and report and report.of_joint(joint)}
        coarse = range(len(joints)) if withhold and resolution.too_coarse else ()
        scores = erosion_scores(prediction, index, self.anatomy, self.threshold, {*limited, *coarse})
        heat_maps = None if prediction.heat_maps is None else placement.heat_maps_back(prediction.heat_maps[index])
        pixels = placement.lengths_back(self.image_size)
        extent = None if prediction.extent is None else prediction.extent[index] * np.float32([1, pixels, pixels**2])
        if self.postprocess:
            masks = postprocessed_masks(placement, prediction.masks[index], self.mask_logit, wrist)
        else:
            masks = placement.masks_back(prediction.masks[index], self.mask_logit)
        if wrist and report is None and not self.localise:
            placement = with_view_caution(placement, logits > 0)
        return WristResult(
            with_mask_cautions(with_lost_ends(placement, logits > 0, self.anatomy, scores.probabilities), masks, wrist),
            masks,
            scores.probabilities,
            scores.levels,
            placement.boxes_back(scores.boxes, self.image_size),
            self.threshold,
            self.name,
            doubt,
            heat_maps,
            self.history,
            extent,
            self.anatomy,
            joint_scores(prediction, index, self.anatomy, limited),
            report,
            None if prediction.cumulative is None else resolution,
            self.weights,
        )
