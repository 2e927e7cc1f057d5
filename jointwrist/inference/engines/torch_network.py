"""A network run by PyTorch, on any device."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from jointwrist.errors import DataError
from jointwrist.inference.prediction import Prediction


class TorchNetwork:
    """A model on a device; arrays in, arrays out.

    Args:
        model: Joint or segmentation network.
        device: Device to run on; None takes a GPU if there is one.

    Attributes:
        pairs_hands: Whether the erosion head uses features of the patient's other wrist where both are in a batch.

    Raises:
        DataError: There is no such device here.
        TypeError: The model is no network, such as a name.
    """

    def __init__(self, model: nn.Module, device: str | torch.device | None = None):
        if not isinstance(model, nn.Module):
            name = type(model).__name__
            raise TypeError(f"a network is needed, not {name}; Predictor.from_pretrained loads one by name or file")
        self.device = usable_device(device)
        self.model = model.to(self.device).eval()
        self.pairs_hands = getattr(getattr(model, "erosion", None), "other_embedding", None) is not None

    @torch.inference_mode()
    def predict(self, *images: np.ndarray, other: list[int] | None = None) -> Prediction:
        """Run a batch; see `networks.Network`."""
        arguments = {} if other is None else {"other": torch.tensor(other, device=self.device)}
        return Prediction.of(self.model(*map(self._tensor, images), **arguments))

    @torch.inference_mode()
    def segment(self, image: np.ndarray) -> np.ndarray:
        """Return the (14, H, W) mask logits of one (1, 1, H, W) image of any size; of a joint network only."""
        return self.model.segment(self._tensor(image))[0].float().cpu().numpy()

    def _tensor(self, image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(image)).to(self.device)


def usable_device(name: str | torch.device | None = None) -> torch.device:
    """Return a device after checking that it can copy a number there and back; None selects a GPU if there is one.

    Raises:
        DataError: There is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).cpu()
    except Exception as error:  # every backend raises errors of its own
        reason = str(error).strip().partition("\n")[0].partition(" Device string")[0].rstrip(".")
        raise DataError(f"device {name}: cannot be used here ({reason}); `cpu` always can") from None
    return device
