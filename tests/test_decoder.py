"""The decoder computes in training what it computes in evaluation."""

from __future__ import annotations

import pytest
import torch

from jointwrist.models.decoder import Decoder

STRIDES, CHANNELS = (1, 2, 4, 8, 16, 32), (4, 6, 8, 12, 16, 24)


@pytest.mark.parametrize("height, width", [(64, 64), (50, 70)])
def test_logits_and_gradients_are_those_of_evaluation(height, width):
    torch.manual_seed(0)
    decoder = Decoder(CHANNELS, (24, 16, 12, 8, 6), bones=5).double()
    sizes = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
    features = [torch.randn(2, c, *size, dtype=torch.float64) for c, size in zip(CHANNELS, sizes, strict=True)]
    found = []
    for training in (True, False):
        decoder.train(training).zero_grad()
        output = decoder([feature.requires_grad_() for feature in features])
        loss = output.mask_logits.square().sum() + output.distance_logits.abs().sum()
        gradients = torch.autograd.grad(loss, [*decoder.parameters(), *features])
        found.append([output.mask_logits, output.distance_logits, *gradients])
    assert found[0][0].shape == found[0][1].shape == (2, 5, height, width)
    for in_training, in_evaluation in zip(*found, strict=True):
        assert torch.allclose(in_training, in_evaluation)
