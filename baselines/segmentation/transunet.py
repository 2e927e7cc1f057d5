"""TransUNet (R50-ViT-B/16): a ResNet, a vision transformer on its deepest features, and a U-Net decoder.

Chen J. et al., TransUNet, arXiv 2102.04306, without the pretrained weights of the paper. The backbone is the ResNet of
Big Transfer (Kolesnikov A. et al., arXiv 1912.11370) with standardised weights, up to its third stage; unlike there,
normalisation follows each convolution. Parameters have the authors' names.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from timm.layers import Mlp, StdConv2d
from torch import Tensor, nn
from torch.nn import functional

from jointwrist.anatomy import NUM_BONES
from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_size

STEM_WIDTH = 64
STAGE_WIDTHS = (256, 512, 1024)
STAGE_DEPTHS = (3, 4, 9)
HIDDEN = 768
HEADS = 12
LAYERS = 12
DROPOUT = 0.1
DECODER_WIDTHS = (256, 128, 64, 16)

Conv = partial(StdConv2d, eps=1e-5)
GroupNorm = partial(nn.GroupNorm, 32, eps=1e-6)
LayerNorm = partial(nn.LayerNorm, HIDDEN, eps=1e-6)


class Bottleneck(nn.Module):
    """Three convolutions with group norm and a residual connection; the last ReLU follows the addition."""

    def __init__(self, dim_in: int, dim_out: int, stride: int = 1):
        super().__init__()
        dim = dim_out // 4
        self.conv1 = Conv(dim_in, dim, 1)
        self.gn1 = GroupNorm(dim)
        self.conv2 = Conv(dim, dim, 3, stride, padding=1)
        self.gn2 = GroupNorm(dim)
        self.conv3 = Conv(dim, dim_out, 1)
        self.gn3 = GroupNorm(dim_out)
        self.project = dim_in != dim_out
        if self.project:
            self.downsample = Conv(dim_in, dim_out, 1, stride, padding=0)
            self.gn_proj = nn.GroupNorm(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim_in, H, W) to (B, dim_out, H/stride, W/stride), rounded up."""
        y = self.gn1(self.conv1(x)).relu()
        y = self.gn2(self.conv2(y)).relu()
        y = self.gn3(self.conv3(y))
        return (y + (self.gn_proj(self.downsample(x)) if self.project else x)).relu()


def _stage(dim_in: int, dim_out: int, depth: int, stride: int) -> nn.Sequential:
    units = OrderedDict(unit1=Bottleneck(dim_in, dim_out, stride))
    units |= {f"unit{number}": Bottleneck(dim_out, dim_out) for number in range(2, depth + 1)}
    return nn.Sequential(units)


class ResNet(nn.Module):
    """ResNet stem and three stages, with the features for the decoder's skip connections."""

    def __init__(self):
        super().__init__()
        self.root = nn.Sequential(
            OrderedDict(conv=Conv(3, STEM_WIDTH, 7, 2, padding=3), gn=GroupNorm(STEM_WIDTH), relu=nn.ReLU())
        )
        dims_in = (STEM_WIDTH, *STAGE_WIDTHS[:-1])
        stages = map(_stage, dims_in, STAGE_WIDTHS, STAGE_DEPTHS, (1, 2, 2))
        self.body = nn.ModuleDict({f"block{number}": stage for number, stage in enumerate(stages, start=1)})

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features (B, 1024, H/16, W/16) of (B, 3, H, W), and the skips at strides 8, 4 and 2.

        The pooling has no padding, so that the first stage lacks one row and column of a quarter of the image; zeros
        take their place in the skip.
        """
        stem = self.root(x)
        first = self.body["block1"](functional.max_pool2d(stem, 3, 2))
        second = self.body["block2"](first)
        return self.body["block3"](second), [second, functional.pad(first, (0, 1, 0, 1)), stem]


class Embeddings(nn.Module):
    """ResNet features as tokens, with learned position embeddings."""

    def __init__(self, grid: int):
        super().__init__()
        self.hybrid_model = ResNet()
        self.patch_embeddings = nn.Conv2d(STAGE_WIDTHS[-1], HIDDEN, 1)
        self.position_embeddings = nn.Parameter(torch.zeros(1, grid**2, HIDDEN))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return tokens (B, grid * grid, 768) and the skips of an image (B, 3, 16 * grid, 16 * grid)."""
        x, skips = self.hybrid_model(x)
        tokens = self.patch_embeddings(x).flatten(2).transpose(1, 2)
        return self.dropout(tokens + self.position_embeddings), skips


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.key = nn.Linear(HIDDEN, HIDDEN)
        self.value = nn.Linear(HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, 768) to the same shape."""
        q, k, v = (
            linear(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for linear in (self.query, self.key, self.value)
        )
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention and MLP, each preceded by a layer norm within its residual branch; only the MLP has dropout."""

    def __init__(self):
        super().__init__()
        self.attention_norm = LayerNorm()
        self.attn = Attention()
        self.ffn_norm = LayerNorm()
        self.ffn = Mlp(HIDDEN, 4 * HIDDEN, drop=DROPOUT)
        for linear in (self.ffn.fc1, self.ffn.fc2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.normal_(linear.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, 768) to the same shape."""
        x = x + self.attn(self.attention_norm(x))
        return x + self.ffn(self.ffn_norm(x))


class Encoder(nn.Module):
    """Transformer blocks and a final layer norm."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(*(TransformerBlock() for _ in range(LAYERS)))
        self.encoder_norm = LayerNorm()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, 768) to the same shape."""
        return self.encoder_norm(self.layer(x))


def _conv_bn_relu(dim_in: int, dim_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(dim_in, dim_out, 3, padding=1, bias=False), nn.BatchNorm2d(dim_out), nn.ReLU())


class DecoderBlock(nn.Module):
    """Bilinear upsampling by 2, concatenation with the skip, and two convolutions."""

    def __init__(self, dim_in: int, skip: int, dim_out: int):
        super().__init__()
        self.up = nn.UpsamplingBilinear2d(scale_factor=2)
        self.conv1 = _conv_bn_relu(dim_in + skip, dim_out)
        self.conv2 = _conv_bn_relu(dim_out, dim_out)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Map (B, dim_in, H, W) and (B, skip, 2H, 2W) to (B, dim_out, 2H, 2W)."""
        x = self.up(x)
        return self.conv2(self.conv1(x if skip is None else torch.cat((x, skip), dim=1)))


class Decoder(nn.Module):
    """Four upsampling stages, the last without a skip."""

    def __init__(self):
        super().__init__()
        dims_in = (512, *DECODER_WIDTHS[:-1])
        skips = (STAGE_WIDTHS[1], STAGE_WIDTHS[0], STEM_WIDTH, 0)
        self.conv_more = _conv_bn_relu(HIDDEN, dims_in[0])
        self.blocks = nn.ModuleList(map(DecoderBlock, dims_in, skips, DECODER_WIDTHS))

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """Map (B, 768, H, W) to (B, 16, 16H, 16W)."""
        x = self.conv_more(x)
        for block, skip in zip(self.blocks, (*skips, None), strict=True):
            x = block(x, skip)
        return x


class TransUNet(nn.Module):
    """TransUNet; three channels are read, one is repeated.

    Args:
        num_classes: Masks.
        img_size: Side of the square image in pixels, a multiple of 16.

    Raises:
        ValueError: The side is not a multiple of 16.
    """

    def __init__(self, num_classes: int = NUM_BONES, img_size: int = 512):
        super().__init__()
        if img_size < 16 or img_size % 16:
            raise ValueError(f"TransUNet cannot be built for {img_size} pixels: use a multiple of 16")
        self.img_size = img_size
        self.grid = img_size // 16
        self.transformer = nn.ModuleDict({"embeddings": Embeddings(self.grid), "encoder": Encoder()})
        self.decoder = Decoder()
        self.segmentation_head = nn.Sequential(nn.Conv2d(DECODER_WIDTHS[-1], num_classes, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, img_size, img_size) of images (B, 1 or 3, img_size, img_size).

        Raises:
            DataError: The image has another size.
        """
        check_size(x, "TransUNet", self.img_size)
        tokens, skips = self.transformer["embeddings"](x.expand(-1, 3, -1, -1))
        tokens = self.transformer["encoder"](tokens)
        features = tokens.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return self.segmentation_head(self.decoder(features, skips))


register_model(
    ModelSpec(
        name="transunet",
        task="segmentation",
        published_name="TransUnet",
        paper="Chen et al., TransUNet, arXiv 2102.04306",
        licence="Apache-2.0",
        code="jointwrist_baselines.segmentation.transunet",
        parameters=105_913_710,
        input_size=512,
        size_dependent=True,
    )
)(TransUNet)
