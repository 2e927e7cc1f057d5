"""Encoders: features and strides at any size, stochastic depth, recomputed activations, no idle parameter."""

from __future__ import annotations

import pytest
import torch

from jointwrist.models.encoder import build_encoder
from jointwrist.models.encoder_sizes import KINDS, SIZES, VERSIONS

STRIDES = (1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize("size", SIZES[VERSIONS[-1]])
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_announced(kind, size):
    encoder = build_encoder(kind, size, in_channels=3)
    with torch.no_grad():
        features = encoder(torch.rand(2, 3, 32, 64))
    assert encoder.strides == STRIDES
    assert [tuple(f.shape) for f in features] == [
        (2, channels, 32 // stride, 64 // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]


@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (33, 64), (70, 31)])
@pytest.mark.parametrize("kind", KINDS)
def test_any_input_size(kind, shape):
    torch.manual_seed(0)
    features = build_encoder(kind).eval()(torch.rand(1, 1, *shape))
    for feature, stride in zip(features, STRIDES, strict=True):
        assert feature.shape[-2:] == (-(-shape[0] // stride), -(-shape[1] // stride))
        assert feature.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_the_image_continued_by_its_border(kind):
    torch.manual_seed(0)
    encoder, image = build_encoder(kind).eval(), torch.rand(1, 1, 40, 51)
    continued = torch.nn.functional.pad(image, (0, 13, 0, 24), mode="replicate")
    for small, large in zip(encoder(image), encoder(continued), strict=True):
        assert torch.equal(small, large[..., : small.shape[-2], : small.shape[-1]])


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind):
    torch.manual_seed(0)
    encoder = build_encoder(kind).train()
    features = encoder(torch.rand(2, 1, 64, 64))
    sum((feature * torch.randn_like(feature)).sum() for feature in features).backward()
    idle = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


@pytest.mark.parametrize("kind", KINDS)
def test_recomputing_activations_changes_no_gradient(kind):
    torch.manual_seed(0)
    plain, sparing = build_encoder(kind, drop_path=0.3), build_encoder(kind, drop_path=0.3, checkpoint=True)
    sparing.load_state_dict(plain.state_dict())
    image, gradients = torch.rand(3, 1, 64, 64), []
    for encoder in (plain, sparing):
        torch.manual_seed(1)  # the same paths are dropped
        features = encoder.train()(image)
        loss = sum((feature * feature.detach().cos()).sum() for feature in features)
        gradients.append(torch.autograd.grad(loss, list(encoder.parameters())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(one.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_recomputing_keeps_fewer_bytes(kind):
    image, kept = torch.rand(1, 1, 64, 64), []

    def count(tensor):
        kept[-1] += tensor.nbytes
        return tensor

    for checkpoint in (False, True):
        encoder = build_encoder(kind, checkpoint=checkpoint).train()
        kept.append(0)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            encoder(image)
    assert kept[1] < 0.6 * kept[0]


@pytest.mark.parametrize("kind", KINDS)
def test_drop_path_is_random_in_training_only(kind):
    torch.manual_seed(0)
    encoder, image = build_encoder(kind, drop_path=0.5), torch.rand(4, 1, 64, 64)
    with torch.no_grad():
        assert not torch.equal(encoder.train()(image)[-1], encoder(image)[-1])
        expected = encoder.eval()(image)
        certain = build_encoder(kind)
        certain.load_state_dict(encoder.state_dict())
        for one, other in zip(expected, certain.train()(image), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_drop_path_grows_with_depth(kind):
    encoder = build_encoder(kind, drop_path=0.4)
    rates = [
        max((float(m.drop_prob) for m in block.modules() if hasattr(m, "drop_prob")), default=0.0)
        for stage in encoder.stages
        for block in stage
    ]
    assert rates == pytest.approx([0.4 * i / (len(rates) - 1) for i in range(len(rates))])


def test_hybrid_attends_where_maps_are_small():
    blocks = [[type(block).__name__ for block in stage] for stage in build_encoder("hybrid", "tiny").stages]
    last = [["VSSBlock"] * 2 + ["SwinBlock"], ["SwinBlock"] * 2]
    assert blocks == [["ConvBlock"] * 2, ["ConvBlock"] * 2, *last]


def test_grey_level_of_the_image_reaches_the_features():
    torch.manual_seed(0)
    encoder, image = build_encoder("conv").eval(), torch.rand(1, 1, 64, 64)
    darker = 0.5 * image + 0.1 * (torch.arange(64) > 32)
    assert not torch.allclose(encoder(image)[0], encoder(darker)[0], atol=1e-2)


@pytest.mark.parametrize(("kind", "size"), [("vit", "tiny"), ("hybrid", "huge")])
def test_unknown_names_are_refused(kind, size):
    with pytest.raises(ValueError, match="is unknown; choose one of"):
        build_encoder(kind, size)
