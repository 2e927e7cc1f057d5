"""Engines that run a network: PyTorch, or onnxruntime, which starts in a fraction of the time and memory."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jointwrist.errors import DataError
from jointwrist.inference.engines.onnx_network import OnnxNetwork
from jointwrist.inference.engines.program_cache import build_program, open_program
from jointwrist.inference.prediction import Prediction

if TYPE_CHECKING:
    import torch

ENGINES = ("auto", "torch", "onnx")


class Network(Protocol):
    """A network of one of the engines.

    Attributes:
        pairs_hands: Whether the erosion head uses features of the patient's other wrist where both are in a batch.
    """

    pairs_hands: bool

    def predict(self, *images: np.ndarray, other: list[int] | None = None) -> Prediction:
        """Run a batch.

        Args:
            *images: (B, 1, S, S) float32 in [0, 1], and the larger (B, 1, D, D) of the same view where it takes one.
            other: Index in the batch of the patient's other hand, negative where it is not; only where the network
                pairs hands.
        """

    def segment(self, image: np.ndarray) -> np.ndarray:
        """Return the (14, H, W) mask logits of one (1, 1, H, W) image of any size; of a joint network only."""


def open_network(path: Path, device: str | torch.device | None, engine: str | None) -> tuple[Network, dict[str, Any]]:
    """Load the network of a weight file or an exported ONNX program.

    Args:
        path: File.
        device: Device of PyTorch; None takes a GPU if there is one.
        engine: "torch", or None; "onnx", which builds the program of weights that have none yet; or "auto": onnxruntime
            where it is installed, the program is there, and the device is a CPU; else PyTorch.

    Returns:
        The network and its description, with its `task`.

    Raises:
        DataError: The file cannot be read, or does not go with the engine or the device.
        MissingExtraError: onnxruntime is requested and not installed.
    """
    if engine is not None and engine not in ENGINES:
        raise ValueError(f"engine {engine!r} is unknown; engines are {', '.join(ENGINES)}")
    if path.suffix == ".onnx" or engine == "onnx":
        if engine == "torch":
            raise DataError(f"{path}: an ONNX program is run by onnxruntime, not by PyTorch; leave the engine out")
        if device is not None and str(device) != "cpu":
            raise DataError(f"{path}: onnxruntime runs on the CPU here; leave device {device} out, or use PyTorch")
        network = OnnxNetwork(path) if path.suffix == ".onnx" else open_program(path) or build_program(path)
        return network, network.info
    on_cpu = str(device) == "cpu" or (device is None and not has_gpu())
    if engine == "auto" and on_cpu and (network := open_program(path)) is not None:
        return network, network.info
    from jointwrist.inference.engines.torch_network import TorchNetwork
    from jointwrist.registry import model_spec
    from jointwrist.weights.checkpoint import load_weights

    model, info = load_weights(path)
    return TorchNetwork(model, device), {**info, "task": model_spec(info["model"]).task}


def has_gpu() -> bool:
    """Return whether NVIDIA's driver finds a GPU, without loading PyTorch."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int()
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False
