"""An ONNX program run by onnxruntime without PyTorch, whole or in the two parts of `program_parts`."""

from __future__ import annotations

import threading
from collections import deque
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from jointwrist.errors import DataError
from jointwrist.inference.engines.program_parts import OUTPUTS_KEY, joints_part
from jointwrist.inference.engines.runtime import import_onnxruntime
from jointwrist.inference.per_process import PerProcess
from jointwrist.inference.prediction import Prediction
from jointwrist.openmp import stated_threads
from jointwrist.weights.metadata_fields import read_description

if TYPE_CHECKING:
    from jointwrist.inference.engines.torch_network import TorchNetwork


#: Images whose masks are kept: the localiser segments a radiograph as either hand before one of them is predicted.
KEPT = 2


class OnnxNetwork(PerProcess):
    """A program of `model_export`, run on the CPU one image at a time.

    Args:
        path: ONNX file.
        weights: Weight file that it was made from, for images of other sizes than the program's; None if unknown.
        optimised: The program is optimised already (`program_cache`), and is used unchanged.

    Attributes:
        info: The description in the program; at least `model`, `task` and `image_size`.
        names: Names of the outputs.
        pairs_hands: False, as a program takes one wrist at a time.

    Raises:
        DataError: The file is not such a program.
        MissingExtraError: onnxruntime is not installed.
    """

    pairs_hands = False

    def __init__(self, path: Path, weights: Path | None = None, optimised: bool = False):
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = stated_threads()
        # threads that spin while they wait take the cores from the rest of a prediction
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if optimised:
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL

        def load(part: Path) -> tuple[Any, dict[str, Any]]:
            try:
                session = runtime.InferenceSession(str(part), options, providers=["CPUExecutionProvider"])
                text = session.get_modelmeta().custom_metadata_map["jointwrist"]
            except Exception as error:  # the classes that onnxruntime raises have no common base
                raise DataError(f"{part}: not an ONNX program of `jointwrist export` ({error})") from None
            return session, read_description(part, text)

        self.session, self.info = load(path)
        if "image_size" not in self.info:
            raise DataError(f"{path}: its description names no image_size; export the weights again")
        sessions, self.joints = [self.session], None
        if OUTPUTS_KEY in self.info:
            self.joints, info = load(joints_part(path))
            sessions.append(self.joints)
            if info != self.info:
                raise DataError(
                    f"{joints_part(path)}: belongs to another program than {path.name}; copy both files again"
                )
        made = [entry.name for session in sessions for entry in session.get_outputs()]
        self.names: list[str] = self.info.get(OUTPUTS_KEY, made)
        entries = {
            entry.name: entry for session in sessions for entry in session.get_inputs() if entry.name not in made
        }
        self.inputs = list(entries)
        self.shapes = [tuple(entry.shape) for entry in entries.values()]
        self.weights = weights
        self._kept = threading.local()

    def run(self, *images: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for a batch of one image."""
        known = dict(zip(self.inputs, images, strict=True))
        if self.joints is not None:
            known |= self._first_part(images[0])
        known |= _outputs(self.joints or self.session, known)
        return [known[name] for name in self.names]

    def _first_part(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs of the first part, kept if this thread had them made of the same image lately."""
        kept = self._kept.__dict__.setdefault("runs", deque(maxlen=KEPT))
        for known, outputs in kept:
            if np.array_equal(known, image):
                return outputs
        outputs = _outputs(self.session, {self.inputs[0]: image})
        kept.append((image, outputs))
        return outputs

    def predict(self, *images: np.ndarray, other: list[int] | None = None) -> Prediction:
        """Run a batch of any size; see `networks.Network`."""
        rows = [self.run(*(image[index : index + 1] for image in images)) for index in range(len(images[0]))]
        output = [np.concatenate(column) for column in zip(*rows, strict=True)]
        named = SimpleNamespace(**dict(zip(self.names, output, strict=True)))
        return Prediction.of(output[0] if len(output) == 1 else named)

    def segment(self, image: np.ndarray) -> np.ndarray:
        """Return the (14, H, W) mask logits of one (1, 1, H, W) image.

        An image of another size than the program's goes to PyTorch, which is loaded when the first one comes.
        """
        if image.shape != self.shapes[0]:
            return self._any_size.segment(image)
        if self.joints is not None:
            return self._first_part(image)["mask_logits"][0]
        given = {entry.name: np.zeros(entry.shape, np.float32) for entry in self.session.get_inputs()}
        return self.session.run(["mask_logits"], given | {self.inputs[0]: image})[0][0]

    @cached_property
    def _any_size(self) -> TorchNetwork:
        from jointwrist.inference.engines.torch_network import TorchNetwork
        from jointwrist.weights.checkpoint import load_weights

        return TorchNetwork(load_weights(self.weights)[0], "cpu")


def _outputs(session: Any, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a part on what it takes of the known tensors."""
    made = [entry.name for entry in session.get_outputs()]
    given = {entry.name: known[entry.name] for entry in session.get_inputs()}
    return dict(zip(made, session.run(made, given), strict=True))
