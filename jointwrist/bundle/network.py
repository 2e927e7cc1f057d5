"""The network of a MONAI bundle: one image in, named outputs out."""

from __future__ import annotations

from torch import Tensor, nn

from jointwrist.data.preprocess import resize_image
from jointwrist.inference.predictor import Predictor

#: Outputs of a joint network other than the bone masks, which MONAI calls `pred`: the fields of `JointOutput`.
EROSION_OUTPUTS = ("erosion_logits", "roi_boxes", "roi_valid", "erosion_heat_maps", "erosion_extent")


class WristNetwork(nn.Module):
    """Wrapper that derives the smaller of the network's two input images itself and returns its outputs by name.

    Args:
        predictor: Predictor with the network and the sizes of its images.
        masks_only: Return the mask logits alone, as a tensor: for tools such as `monai.bundle verify_net_in_out` that
            take one tensor.
    """

    def __init__(self, predictor: Predictor, masks_only: bool = False):
        super().__init__()
        self.model, self.predictor, self.masks_only = predictor.model, predictor, masks_only

    def forward(self, image: Tensor) -> dict[str, Tensor] | Tensor:
        """Run the network.

        Args:
            image: (B, 1, D, D) float32 as `LoadRadiographd` gives it; D is the predictor's `detail_size`.

        Returns:
            `pred`, (B, 14, S, S) mask logits, and from a joint network `EROSION_OUTPUTS`.
        """
        # MONAI's tensors carry their metadata through every operation, which takes time and no kernel of ours expects
        image = image.as_tensor() if hasattr(image, "as_tensor") else image
        small, large = self.predictor.image_size, self.predictor.detail_size
        output = self.model(resize_image(image, small), *([image] if large != small else []))
        masks = output if isinstance(output, Tensor) else output.mask_logits
        if self.masks_only:
            return masks
        # not every network has all of them
        erosions = {name: getattr(output, name, None) for name in EROSION_OUTPUTS}
        return {"pred": masks} | {name: value for name, value in erosions.items() if value is not None}
