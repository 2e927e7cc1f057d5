"""Parts of TransUNet, Swin-Unet and U-KAN against references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from timm.models.swin_transformer import SwinTransformerBlock
from torch import nn

from jointwrist.errors import DataError
from jointwrist.registry import create_model, model_spec
from jointwrist_baselines.layers.spline import NUM_BASIS, cubic_basis
from jointwrist_baselines.segmentation.swin_unet import DROP_PATH, SwinBlock, WindowAttention
from jointwrist_baselines.segmentation.transunet import ResNet
from jointwrist_baselines.segmentation.ukan import KANLinear


def build(name, size):
    return create_model(name, img_size=size if model_spec(name).size_dependent else None)


@pytest.mark.parametrize("name", ["transunet", "ukan"])
def test_a_grey_image_counts_as_three_equal_channels(name):
    torch.manual_seed(0)
    model = build(name, 64).eval()
    grey = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(grey), model(grey.repeat(1, 3, 1, 1)))


def test_swin_masks_equal_those_of_timm():
    ours = SwinBlock(32, grid=24, shifted=True, drop_path=0)
    timms = SwinTransformerBlock(32, (24, 24), num_heads=1, window_size=8, shift_size=4)
    torch.testing.assert_close(ours.attn_mask, timms.attn_mask)
    assert SwinBlock(32, grid=24, shifted=False, drop_path=0).attn_mask is None
    assert SwinBlock(32, grid=8, shifted=True, drop_path=0).attn_mask is None


def test_swin_attention_ignores_the_length_of_its_queries():
    torch.manual_seed(0)
    attention = WindowAttention(64, window=4).eval()
    with torch.no_grad():
        attention.qkv.bias.zero_()
        x = torch.randn(3, 16, 64)
        before = attention(x, None)
        attention.qkv.weight[:128] *= 7
        torch.testing.assert_close(attention(x, None), before)
        attention.qkv.weight[:64] *= torch.arange(64).unsqueeze(1)
        assert not torch.allclose(attention(x, None), before, atol=1e-3)


def test_swin_decoder_has_the_drop_path_rates_of_its_encoder():
    with torch.device("meta"):
        model = create_model("swin_unet", img_size=64)
    rates = torch.linspace(0, DROP_PATH, 24).tolist()

    def rates_of(stage):
        return [block.drop_path.drop_prob for block in stage.blocks]

    encoder = [rates_of(stage) for stage in model.layers]
    assert [rate for stage in encoder for rate in stage] == pytest.approx(rates)
    assert [rates_of(stage) for stage in model.layers_up[1:]] == encoder[2::-1]


def test_transunet_drops_tokens_once_and_in_the_mlps_alone():
    with torch.device("meta"):
        model = create_model("transunet", img_size=64)
    drops = {name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)}
    mlps = {f"transformer.encoder.layer.{n}.ffn.drop{m}" for n in range(12) for m in (1, 2)}
    assert drops.keys() == mlps | {"transformer.embeddings.dropout"}
    assert set(drops.values()) == {0.1}


def test_transunet_ignores_the_mean_of_its_weights_and_pads_a_skip():
    torch.manual_seed(0)
    resnet = ResNet().double()
    x = torch.rand(1, 3, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        before, skips = resnet(x)
        for module in resnet.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.add_(0.5)
        after, _ = resnet(x)
    torch.testing.assert_close(after, before)
    assert [skip.shape[1:] for skip in skips] == [(512, 6, 6), (256, 12, 12), (64, 24, 24)]
    assert (skips[1][..., -1] == 0).all() and (skips[1][..., -1, :] == 0).all() and skips[1][..., :-1, :-1].any()


def test_transunet_refuses_sizes_that_are_no_multiple_of_16():
    for size in (0, 24, 500):
        with pytest.raises(ValueError, match="multiple of 16"):
            create_model("transunet", img_size=size)


def test_swin_unet_refuses_sizes_that_its_windows_do_not_fit():
    for size in (0, 48, 96, 384):
        with pytest.raises(ValueError, match="multiple of 256"):
            create_model("swin_unet", img_size=size)


@pytest.mark.parametrize("name", ["swin_unet", "transunet"])
def test_an_image_of_another_size_is_refused(name):
    with torch.device("meta"):
        model = build(name, 64)
    with pytest.raises(DataError, match="built for 64 pixels"):
        model(torch.rand(1, 1, 64, 96, device="meta"))


def test_ukan_takes_oblong_images_and_other_classes():
    with torch.no_grad():
        assert create_model("ukan", num_classes=3).eval()(torch.rand(1, 1, 64, 96)).shape == (1, 3, 64, 96)


def test_cubic_basis_equals_scipys():
    x = np.linspace(-2.5, 2.5, 401)
    knots = -2.2 + 0.4 * np.arange(12)
    expected = [BSpline.basis_element(knots[j : j + 5], extrapolate=False)(x) for j in range(NUM_BASIS)]
    np.testing.assert_allclose(cubic_basis(torch.from_numpy(x)), np.nan_to_num(expected).T, atol=1e-6)


def test_cubic_basis_keeps_float32_for_half_precision_inputs():
    x = torch.linspace(-2, 2, 9, dtype=torch.bfloat16)
    torch.testing.assert_close(cubic_basis(x), cubic_basis(x.float()))


def test_kan_splines_start_between_small_bounds_at_the_knots():
    torch.manual_seed(0)
    layer = KANLinear(20, 30)
    at_knots = layer.spline_weight.detach() @ cubic_basis(torch.linspace(-1, 1, 6)).T
    assert 0.0099 < at_knots.abs().max() <= 0.01 + 1e-6
    assert at_knots.mean().abs() < 5e-4
    bound = 20**-0.5
    assert 0.98 * bound < layer.base_weight.abs().max() <= bound
    assert 0.98 * bound < layer.spline_scaler.abs().max() <= bound


def test_kan_linear_is_a_sum_of_functions_of_one_input_each():
    torch.manual_seed(0)
    layer = KANLinear(3, 2)
    x = torch.randn(5, 3)
    spline = torch.zeros(5, 2)
    for i in range(3):
        for j in range(NUM_BASIS):
            coefficient = layer.spline_weight[:, i, j] * layer.spline_scaler[:, i]
            spline += cubic_basis(x[:, i])[:, j, None] * coefficient
    base = nn.functional.silu(x) @ layer.base_weight.T
    torch.testing.assert_close(layer(x), base + spline)
