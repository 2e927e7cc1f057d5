"""The four Mamba baselines: their SS2D against its symmetries, their beginnings, their precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip("monai")

from jointwrist_baselines.classification.medmamba import MedMamba
from jointwrist_baselines.layers.ss2d_v1 import SS2D, PatchMerging
from jointwrist_baselines.segmentation.swin_umamba import SwinUMamba
from jointwrist_baselines.segmentation.umamba import UMambaEnc


@torch.no_grad()
def turned(module, order, turn):
    """The SS2D that does to a turned image what `module` does to the image, turned."""
    copy = SS2D(module.in_proj.in_features).eval()
    copy.load_state_dict(module.state_dict())
    for name in ("x_proj_weight", "dt_projs_weight", "dt_projs_bias"):
        getattr(copy, name).copy_(getattr(module, name)[order])
    for name in ("A_logs", "Ds"):
        values = getattr(module, name)
        getattr(copy, name).copy_(values.unflatten(0, (4, -1))[order].flatten(0, 1))
    copy.conv2d.weight.copy_(turn(module.conv2d.weight))
    return copy


@pytest.mark.parametrize(
    ("order", "turn", "turn_last"),
    [
        ([1, 0, 3, 2], lambda x: x.transpose(-2, -1), lambda x: x.transpose(1, 2)),
        ([2, 3, 0, 1], lambda x: x.flip((-2, -1)), lambda x: x.flip((1, 2))),
    ],
    ids=["transposed", "half a turn"],
)
def test_turning_the_image_exchanges_the_four_directions(order, turn, turn_last):
    torch.manual_seed(0)
    module = SS2D(16).eval()
    nn.init.normal_(module.Ds)
    nn.init.normal_(module.A_logs, std=0.3)
    x = torch.randn(2, 5, 8, 16)
    with torch.no_grad():
        expected = turn_last(module(x))
        output = turned(module, order, turn)(turn_last(x))
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(module(turn_last(x)), expected, atol=1e-3)


def test_scan_parameters_start_as_mambas():
    torch.manual_seed(0)
    module = SS2D(64)
    step = nn.functional.softplus(module.dt_projs_bias)
    assert step.min() >= 0.999e-3 and step.max() <= 0.1001
    assert step.log10().mean().item() == pytest.approx(-2, abs=0.1)
    torch.testing.assert_close(module.A_logs.exp(), torch.arange(1.0, 17).expand(4 * 128, 16))
    assert (module.Ds == 1).all()
    assert module.x_proj_weight.abs().max().item() == pytest.approx(128**-0.5, rel=1e-2)
    assert module.dt_projs_weight.abs().max().item() == pytest.approx(4**-0.5, rel=1e-2)


def test_patch_merging_drops_an_odd_row_and_column():
    torch.manual_seed(0)
    module = PatchMerging(4)
    x = torch.randn(1, 5, 7, 4)
    parts = [x[:, row:4:2, column:6:2] for column in (0, 1) for row in (0, 1)]
    torch.testing.assert_close(module(x), module.reduction(module.norm(torch.cat(parts, dim=-1))))


@pytest.mark.parametrize(("build", "highest"), [(SwinUMamba, 0.2), (MedMamba, 0.1)])
def test_drop_path_rates_rise_over_all_blocks(build, highest):
    with torch.device("meta"):
        rates = [block.drop_path.drop_prob for stage in build().modules() for block in getattr(stage, "blocks", ())]
    torch.testing.assert_close(torch.tensor(rates), torch.linspace(0, highest, len(rates)))


def test_medmamba_starts_with_wide_convolutions_and_small_linears():
    torch.manual_seed(0)
    model = MedMamba()
    block = model.layers[3].blocks[0]
    assert block.conv33conv33conv11[1].weight.std().item() == pytest.approx((2 / (384 * 9)) ** 0.5, rel=0.02)
    assert block.self_attention.conv2d.weight.std().item() == pytest.approx((2 / (768 * 9)) ** 0.5, rel=0.05)
    assert block.self_attention.in_proj.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model.head.bias.eq(0).all()


def test_ss2d_scans_in_float32_under_autocast():
    torch.manual_seed(0)
    module = SS2D(32).eval()
    x = torch.randn(1, 16, 16, 32)
    scanned = module.scan(torch.randn(1, 64, 4, 4))
    with torch.no_grad():
        exact = module(x)
        with torch.autocast("cpu", torch.bfloat16):
            output = module(x).float()
            assert module.scan(torch.randn(1, 64, 4, 4).bfloat16()).dtype == scanned.dtype == torch.float32
    assert (output - exact).norm() < 0.02 * exact.norm()


def test_umamba_enc_leaves_autocast_for_its_mamba_layers():
    model = UMambaEnc().eval()
    seen = []
    model.encoder.mamba_layers[0].mamba.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model(torch.rand(1, 1, 16, 16))
    assert seen == [torch.float32]
