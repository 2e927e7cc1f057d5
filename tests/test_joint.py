"""The joint network: shapes, where gradients go, and that the erosion head uses the masks it is given."""

from __future__ import annotations

import warnings

import pytest
import torch

from jointwrist import create_model, list_models
from jointwrist.anatomy import bone_index
from jointwrist.config import ConfigError, build
from jointwrist.engine.config.run_config import JointConfig, RunConfig
from jointwrist.engine.loop.build import build_model
from jointwrist.engine.tasks import JointTask
from jointwrist.errors import DataError
from jointwrist.models.blocks import ChannelGain
from jointwrist.registry import model_spec
from jointwrist.weights.checkpoint import load_weights, save_weights

ENCODERS = ("hybrid", "mamba", "swin", "conv")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("jointwrist_tiny").eval()


def boxes_of_bones(size: int = 64) -> torch.Tensor:
    """Fourteen square bones in a 4 x 4 grid."""
    masks = torch.zeros(2, 14, size, size)
    step = size // 4
    for bone in range(14):
        row, column = divmod(bone, 4)
        masks[:, bone, row * step : (row + 1) * step, column * step : (column + 1) * step] = 1
    return masks


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("shape", [(64, 64), (75, 90)])
def test_output_shapes(encoder, shape):
    output = create_model("jointwrist_tiny", encoder=encoder).eval()(torch.rand(2, 1, *shape))
    assert output.mask_logits.shape == output.distance_logits.shape == (2, 14, *shape)
    assert output.erosion_logits.shape == (2, 6, 3)
    assert output.roi_boxes.shape == (2, 6, 4) and output.roi_valid.shape == (2, 6)
    assert output.erosion_heat_maps.shape == (2, 6, 32, 32)


@pytest.mark.parametrize("name", list_models("jointwrist_*"))
def test_parameter_count_is_the_registered_one(name):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == model_spec(name).parameters


def test_cumulative_probabilities_fall(network):
    probability = network(torch.rand(2, 1, 64, 64)).erosion_logits.sigmoid()
    assert (probability[..., :-1] >= probability[..., 1:]).all()


@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_erosion_gradient_reaches_the_masks_only_with_a_scale_above_0(scale):
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", encoder="conv")
    torch.nn.init.constant_(model.decoder.mask_head.bias, 1.0)
    torch.nn.init.ones_(model.erosion.local_gain.gain)  # 0 at first
    model(torch.rand(2, 1, 64, 64), mask_grad_scale=scale).erosion_logits.sum().backward()
    gradient = model.decoder.mask_head.weight.grad
    assert (gradient is not None and gradient.abs().sum() > 0) == (scale > 0)
    assert model.encoder.parameters().__next__().grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_version": 7}, "version 7 of the erosion head is unknown; choose one of 1, 2"),
        ({"encoder_version": 7}, "encoder version 7 is unknown"),
        ({"erosion_head": "other"}, "erosion head 'other' is unknown"),
        ({"nothing": 1}, "unexpected keyword argument 'nothing'"),
        ({"roi_crop": 63}, "roi_crop is 63; it must be a positive multiple of 8"),
        ({"roi_crop": -8}, "roi_crop is -8"),
        ({"roi_dim": -3}, "negative dimension -3"),
        ({"roi_channels": 0}, "roi_channels is 0; it must be at least 2"),
    ],
)
def test_options_that_a_network_does_not_take_are_named(options, message):
    config = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint", "options": options})
    name, value = next(iter(options.items()))
    with pytest.raises(ConfigError, match=f"jointwrist_tiny cannot be built with options.{name}={value}: .*{message}"):
        build_model(config)


def test_forced_masks_drive_the_boxes(network):
    image, bones = torch.rand(2, 1, 64, 64), boxes_of_bones()
    output = network(image, forced_masks=bones)
    assert output.roi_valid.all()
    # lunate is bone 4: row 1, column 0 of the grid
    x0, y0, x1, y1 = output.roi_boxes[0, 3].tolist()
    assert abs((x0 + x1) / 2 - 8) < 1 and abs((y0 + y1) / 2 - 24) < 1
    # without the trapezium, that joint is not found, nor is the end of the first metacarpal, which faces it
    bones[:, bone_index("Trapezium")] = 0
    assert network(image, forced_masks=bones).roi_valid[0].tolist() == [False, False, True, True, True, True]


def test_other_masks_give_other_erosion_logits():
    torch.manual_seed(0)
    network = create_model("jointwrist_tiny").eval()
    for module in network.modules():
        if isinstance(module, ChannelGain):  # 0 before training
            torch.nn.init.ones_(module.gain)
    image, bones = torch.rand(2, 1, 64, 64), boxes_of_bones()
    logits, mirrored = (network(image, forced_masks=masks).erosion_logits for masks in (bones, bones.flip(-1)))
    assert not torch.allclose(logits, mirrored, atol=1e-2)


def test_images_without_bones_are_not_valid(network):
    output = network(torch.rand(1, 1, 64, 64), forced_masks=torch.zeros(1, 14, 64, 64))
    assert not output.roi_valid.any() and output.erosion_logits.isfinite().all()


def test_detail_image_of_another_size_is_the_same_field_of_view(network):
    image, bones = torch.rand(2, 1, 64, 64), boxes_of_bones()
    fine = torch.nn.functional.interpolate(image, scale_factor=2, mode="nearest")
    coarse, detailed = network(image, forced_masks=bones), network(image, fine, forced_masks=bones)
    assert torch.equal(coarse.roi_boxes, detailed.roi_boxes)
    assert (coarse.crops - detailed.crops).abs().mean() < 0.15 < image.std()


def test_without_mask_channels_only_boxes_matter():
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", encoder="conv", use_masks=False).eval()
    image, bones = torch.rand(1, 1, 64, 64), boxes_of_bones()[:1]
    partners_gone = bones.clone()
    partners_gone[:, 0] = 0
    assert torch.allclose(
        model(image, forced_masks=bones).erosion_logits[:, 3],
        model(image, forced_masks=partners_gone).erosion_logits[:, 3],
        atol=1e-5,
    )


def test_masks_of_the_test_drive_the_head():
    torch.manual_seed(0)
    network = create_model("jointwrist_tiny", encoder="conv").eval()
    torch.nn.init.zeros_(network.decoder.mask_head.bias)
    image, masks = torch.rand(2, 1, 64, 64), boxes_of_bones()[:1].expand(2, -1, -1, -1)
    batch = {"image": image, "detail": image, "masks": masks, "has_bones": torch.tensor([True, False])}

    def boxes(kind):
        config = RunConfig("jointwrist_tiny", "joint", joint=JointConfig(test_masks=kind))
        with torch.no_grad():
            return JointTask(config).forward(network, batch).roi_boxes

    with torch.no_grad():
        own = network(image).roi_boxes
        segmented = network.segment(image).sigmoid()
        moved = network(image, forced_masks=segmented.roll((9, 9), (-2, -1))).roi_boxes
        exchanged = network(image, forced_masks=segmented[:, [13, *range(13)]]).roi_boxes
        true = network(image, forced_masks=masks).roi_boxes
    assert not any(torch.allclose(own, other, atol=1.0) for other in (moved, exchanged, true))
    torch.testing.assert_close(boxes("predicted"), own)
    torch.testing.assert_close(boxes("truth"), torch.stack([true[0], own[1]]))
    torch.testing.assert_close(boxes("moved"), moved)
    torch.testing.assert_close(boxes("exchanged"), exchanged)


def test_a_former_option_works_with_a_warning_and_in_weight_files_without_one(tmp_path):
    with pytest.warns(FutureWarning, match="feature_gradient of jointwrist_tiny is now called feature_grad_scale"):
        former = create_model("jointwrist_tiny", feature_gradient=0.5)
    current = {"feature_grad_scale": 0.5, "encoder_version": 3, "head_version": 2}
    assert former.erosion.feature_grad_scale == 0.5 and former.info["options"] == current
    stored = {"model": "jointwrist_tiny", "options": {"feature_gradient": 0.5}}
    save_weights(tmp_path / "old.safetensors", former, stored)
    with warnings.catch_warnings(action="error"):
        loaded, info = load_weights(tmp_path / "old.safetensors")
    assert loaded.erosion.feature_grad_scale == 0.5 and info["options"] == current
    both = {"feature_gradient": 0.5, "feature_grad_scale": 0.5}
    with pytest.raises(ValueError, match="are the same option"), pytest.warns(FutureWarning):
        create_model("jointwrist_tiny", **both)
    save_weights(tmp_path / "both.safetensors", former, {**stored, "options": both})
    with pytest.raises(DataError, match=r"both\.safetensors.*are the same option"):
        load_weights(tmp_path / "both.safetensors")
