"""Published weights find their blocks: files with the keys and shapes of VMamba-T and of timm's Swin."""

from __future__ import annotations

import pytest
import timm
import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from jointwrist.config import build
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.trainer import Trainer
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.errors import DataError
from jointwrist.models.encoder import build_encoder
from jointwrist.models.encoder_sizes import SIZES, VERSIONS, EncoderSize, uniform_layouts
from jointwrist.weights.pretrained import load_pretrained

DIMS, DEPTHS = (96, 192, 384, 768), (2, 2, 8, 2)


def vmamba_tiny(ratio: int = 1) -> dict[str, torch.Tensor]:
    """Keys and shapes of VMamba's `vssm1_tiny_0230s` (one state, ratio 1, depths 2 2 8 2), random values."""
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.0.weight": (48, 3, 3, 3),
        "patch_embed.0.bias": (48,),
        "patch_embed.2.weight": (48,),
        "patch_embed.2.bias": (48,),
        "patch_embed.5.weight": (96, 48, 3, 3),
        "patch_embed.5.bias": (96,),
        "patch_embed.7.weight": (96,),
        "patch_embed.7.bias": (96,),
    }
    for stage, (dim, depth) in enumerate(zip(DIMS, DEPTHS, strict=True)):
        inner, rank = ratio * dim, dim // 16
        for block in range(depth):
            for name, shape in {
                "norm.weight": (dim,),
                "norm.bias": (dim,),
                "op.x_proj_weight": (4, rank + 2, inner),
                "op.A_logs": (4 * inner, 1),
                "op.Ds": (4 * inner,),
                "op.dt_projs_weight": (4, inner, rank),
                "op.dt_projs_bias": (4, inner),
                "op.out_norm.weight": (inner,),
                "op.out_norm.bias": (inner,),
                "op.in_proj.weight": (inner, dim),
                "op.conv2d.weight": (inner, 1, 3, 3),
                "op.out_proj.weight": (dim, inner),
                "norm2.weight": (dim,),
                "norm2.bias": (dim,),
                "mlp.fc1.weight": (4 * dim, dim),
                "mlp.fc1.bias": (4 * dim,),
                "mlp.fc2.weight": (dim, 4 * dim),
                "mlp.fc2.bias": (dim,),
            }.items():
                shapes[f"layers.{stage}.blocks.{block}.{name}"] = shape
        if stage < 3:
            shapes[f"layers.{stage}.downsample.1.weight"] = (2 * dim, dim, 3, 3)
            for name in ("1.bias", "3.weight", "3.bias"):
                shapes[f"layers.{stage}.downsample.{name}"] = (2 * dim,)
    shapes |= {"classifier.norm.weight": (768,), "classifier.norm.bias": (768,)}
    shapes |= {"classifier.head.weight": (1000, 768), "classifier.head.bias": (1000,)}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def vmamba():
    return vmamba_tiny()


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:timm.layers.interpolate")


@pytest.fixture(scope="module")
def swin():
    torch.manual_seed(0)
    return timm.create_model("swin_tiny_patch4_window7_224")


@pytest.mark.parametrize("wrapped", ["model", None])
def test_every_block_of_vmamba_t_loads(vmamba, tmp_path, wrapped):
    path = tmp_path / "vssm1_tiny_0230s.pth"
    torch.save({wrapped: vmamba, "epoch": 264} if wrapped else vmamba, path)
    encoder = build_encoder("mamba", "base")
    report = load_pretrained(encoder, path)
    state = encoder.state_dict()
    for key, name in report.loaded.items():
        assert torch.equal(state[name], vmamba[key]), key
    assert report.source == "VMamba"
    assert set(report.loaded) | set(report.unused) == set(vmamba) and not set(report.loaded) & set(report.unused)
    assert {key.split(".")[0] for key in report.unused} == {"patch_embed", "classifier"}
    assert set(report.loaded.values()) | set(report.untouched) == set(state)
    # no tensor of a block stays random, and the norms of the features and the stem do
    assert {name.split(".")[0] for name in report.untouched} == {"stem1", "stem2", "down", "norms"}
    assert [name for name in report.untouched if name.startswith("down")] == [
        f"down.0.{name}" for name in ("0.weight", "0.bias", "1.weight", "1.bias")
    ]


def test_one_by_one_convolutions_count_as_linear_layers(vmamba, tmp_path):
    as_convolutions = {
        key: value[..., None, None] if value.ndim == 2 and "proj.weight" in key else value
        for key, value in vmamba.items()
    }
    torch.save(as_convolutions, tmp_path / "a.pth")
    encoder = build_encoder("mamba", "base")
    load_pretrained(encoder, tmp_path / "a.pth")
    assert torch.equal(encoder.stages[2][3].op.in_proj.weight, vmamba["layers.2.blocks.3.op.in_proj.weight"])


def test_swin_blocks_load_from_the_last_of_each_stage(swin, tmp_path, monkeypatch):
    state = swin.state_dict()
    save_file(state, tmp_path / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repository, file: tmp_path / file)
    encoder = build_encoder("swin", "base")
    report = load_pretrained(encoder, "timm/swin_tiny")
    assert report.source == "Swin" and set(report.loaded) | set(report.unused) == set(state)
    assert report.loaded["layers.2.blocks.0.attn.qkv.weight"] == "stages.2.0.block.attn.qkv.weight"
    assert report.loaded["norm.weight"] == "norms.3.weight"
    assert {key.split(".")[0] for key in report.unused} == {"patch_embed", "head", "layers"}
    assert all("downsample" in key for key in report.unused if key.startswith("layers"))
    # the encoder has the depths of Swin-T
    assert not [name for name in report.untouched if name.startswith("stages")]


@pytest.mark.parametrize(("stage", "block"), [(0, 0), (0, 1), (1, 1)])
def test_swin_blocks_compute_what_timm_computes(tmp_path, stage, block):
    torch.manual_seed(1)
    theirs = timm.create_model("swin_tiny_patch4_window7_224", img_size=256, window_size=8).eval()
    save_file(theirs.state_dict(), tmp_path / "swin.safetensors")
    encoder = build_encoder("swin", "base").eval()
    load_pretrained(encoder, tmp_path / "swin.safetensors")
    side = 64 >> stage
    x = torch.randn(1, side, side, DIMS[stage])
    with torch.no_grad():
        torch.testing.assert_close(
            encoder.stages[stage][block](x), theirs.layers[stage].blocks[block](x), rtol=1e-4, atol=1e-5
        )


def test_positions_are_interpolated_to_another_window(swin, tmp_path):
    state = dict(swin.state_dict())
    offsets = torch.arange(-6.0, 7.0)
    key = "layers.0.blocks.0.attn.relative_position_bias_table"
    state[key] = (offsets[:, None] ** 2 + offsets**2).flatten()[:, None].repeat(1, 3)  # by distance
    save_file(state, tmp_path / "swin.safetensors")
    encoder = build_encoder("swin", "base")
    load_pretrained(encoder, tmp_path / "swin.safetensors")
    table = encoder.state_dict()["stages.0.0.block.attn.relative_position_bias_table"].view(15, 15, 3)
    torch.testing.assert_close(table, table.flip(0, 1), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(table, table.transpose(0, 1), atol=1e-3, rtol=1e-3)
    assert table[7, 7].abs().max() < 1e-3 and (table[7, 7:].diff(dim=0) > 0).all()


def test_one_file_of_each_fills_the_hybrid_encoder(vmamba, swin, tmp_path):
    torch.save(vmamba, tmp_path / "vmamba.pth")
    save_file(swin.state_dict(), tmp_path / "swin.safetensors")
    encoder = build_encoder("hybrid", "base")
    reports = [load_pretrained(encoder, tmp_path / name) for name in ("vmamba.pth", "swin.safetensors")]
    untouched = set(reports[0].untouched) & set(reports[1].untouched)
    assert not [name for name in untouched if name.startswith("stages")]
    assert "layers.3.blocks.0.op.Ds" in reports[0].unused and "layers.0.blocks.0.mlp.fc1.bias" in reports[1].unused
    text = str(reports[0])
    assert all(key in text for key in vmamba)


def test_tensors_that_do_not_fit_are_named_with_both_shapes(vmamba, tmp_path):
    key = "layers.1.blocks.0.op.A_logs"
    torch.save(vmamba | {key: torch.zeros(768, 16)}, tmp_path / "a.pth")
    encoder = build_encoder("mamba", "base")
    before = encoder.stages[1][0].op.A_logs.clone()
    report = load_pretrained(encoder, tmp_path / "a.pth")
    assert report.unused[key] == "shape (768, 16) does not fit (768, 1) of stages.1.0.op.A_logs"
    assert "stages.1.0.op.A_logs" in report.untouched and torch.equal(encoder.stages[1][0].op.A_logs, before)


def test_files_that_fill_nothing_are_refused_and_change_nothing(vmamba, tmp_path):
    torch.save(vmamba, tmp_path / "vmamba.pth")
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 20)
    encoder = build_encoder("hybrid", "tiny")
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    for name, message in {
        "vmamba.pth": "no block of VMamba fits this encoder .*size base",
        "other.pth": "neither weights of VMamba nor of timm's Swin",
        "broken.safetensors": "broken.safetensors: not a checkpoint of plain tensors",
        "missing.pth": "missing.pth: no such checkpoint",
    }.items():
        with pytest.raises(DataError, match=message):
            load_pretrained(encoder, tmp_path / name)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    with pytest.raises(DataError, match="the encoder has no such block of VMamba"):
        load_pretrained(build_encoder("conv", "base"), tmp_path / "vmamba.pth")


def test_training_starts_from_the_files_of_the_configuration(vmamba, dataset, tmp_path, monkeypatch):
    narrow = EncoderSize(16, (96, 16, 16, 16), 16, uniform_layouts((1, 1, 1, 1), "m-m-m-m"))
    monkeypatch.setitem(SIZES[VERSIONS[-1]], "narrow", narrow)
    torch.save(vmamba, tmp_path / "vmamba.pth")
    config = build(
        RunConfig,
        {
            "model": "jointwrist_tiny",
            "task": "joint",
            "image_size": 32,
            "options": {"encoder": "mamba", "size": "narrow", "roi_crop": 32},
            "optim": {"epochs": 1},
            "joint": {"pretrained": [str(tmp_path / "vmamba.pth")]},
        },
    )
    data = load_run_data(config, dataset)
    trainer = Trainer(Accelerator(cpu=True), config, data, build_task(config, data.prior), tmp_path / "run")
    loaded = trainer.unwrapped.encoder.stages[0][0].op.in_proj.weight
    assert torch.equal(loaded.cpu(), vmamba["layers.0.blocks.0.op.in_proj.weight"])
    report = (tmp_path / "run" / "pretrained.txt").read_text(encoding="utf-8")
    assert all(key in report for key in vmamba)
