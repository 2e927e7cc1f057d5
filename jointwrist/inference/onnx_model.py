"""An exported ONNX program with the interface of a network."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from jointwrist.errors import DataError, require
from jointwrist.weights.metadata import parse_info


class OnnxModel(nn.Module):
    """A program of `model_export.export_weights`, run by onnxruntime on the CPU one image at a time.

    Args:
        path: ONNX file.

    Raises:
        DataError: The file is not such a program.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, path: Path):
        super().__init__()
        runtime = require("onnxruntime", "export")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            text = self.session.get_modelmeta().custom_metadata_map["jointwrist"]
        except Exception as error:  # the classes that onnxruntime raises have no common base
            raise DataError(f"{path}: not an ONNX program of `jointwrist export` ({error})") from None
        self.info: dict[str, Any] = parse_info(path, text)
        self.inputs = [entry.name for entry in self.session.get_inputs()]
        self.outputs = [entry.name for entry in self.session.get_outputs()]

    def run(self, *images: Tensor) -> list[Tensor]:
        """Return the outputs for a batch of one image."""
        feed = {name: image.cpu().numpy() for name, image in zip(self.inputs, images, strict=True)}
        return [torch.from_numpy(output) for output in self.session.run(None, feed)]

    def forward(self, *images: Tensor) -> Tensor | SimpleNamespace:
        """Run a batch of any size; return a tensor, or the named outputs of a joint network."""
        rows = [self.run(*(image[index : index + 1] for image in images)) for index in range(len(images[0]))]
        output = [torch.cat(column).to(images[0].device) for column in zip(*rows, strict=True)]
        return output[0] if len(output) == 1 else SimpleNamespace(**dict(zip(self.outputs, output, strict=True)))
