"""Encoders that can be compared: windows that fit the map, equal budgets, and earlier weight files as they were."""

from __future__ import annotations

import pytest
import torch

from benchmarks.cost import Count
from jointwrist.config import build
from jointwrist.engine.config.run_config import OptimConfig, RunConfig, config_hash
from jointwrist.engine.loop.build import build_optimizer, exempt_from_decay, model_options
from jointwrist.engine.loop.resume import load_run, save_run
from jointwrist.errors import DataError
from jointwrist.models.encoder import build_encoder
from jointwrist.models.encoder_sizes import KINDS, LETTERS
from jointwrist.models.swin import SwinBlock
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import load_weights, save_weights
from jointwrist.weights.find import find_weights

#: The smallest joint network with window attention.
MICRO = {"encoder": "swin", "widths": (8, 8, 8, 8, 8), "roi_channels": 4, "roi_crop": 16, "roi_dim": 32}


def block(shifted: bool, padded: bool = False) -> SwinBlock:
    torch.manual_seed(0)
    made = SwinBlock(16, 2, shifted=shifted, padded=padded).eval()
    torch.nn.init.normal_(made.block.attn.relative_position_bias_table)
    return made


def groups(side: int, shifted: bool) -> list[tuple[int, bool]]:
    """Window of each pixel of an axis, and whether the shift brought it there from the other end."""
    count = -(-side // 8)
    window = -(-side // count)
    shift = window // 2 if shifted and count > 1 else 0
    moved = [(place - shift) % (count * window) for place in range(side)]
    return [(place // window, place + shift >= count * window) for place in moved]


def attention_of_real_pixels(made: SwinBlock, x: torch.Tensor) -> torch.Tensor:
    """The definition: pixels of one window attend to each other, by their contents and offset."""
    height, width = x.shape[1:3]
    places = [(y, x) for y in range(height) for x in range(width)]
    rows, columns = groups(height, made.shifted), groups(width, made.shifted)
    attn = made.block.attn
    query, key, value = attn.qkv(x[0].flatten(0, 1)).unflatten(1, (3, attn.num_heads, -1)).unbind(1)
    scores = torch.einsum("qhd,khd->hqk", query, key) * attn.scale
    for i, (y, x_) in enumerate(places):
        for j, (v, u) in enumerate(places):
            together = rows[y] == rows[v] and columns[x_] == columns[u]
            offset = 15 * (y - v + 7) + x_ - u + 7
            scores[:, i, j] += attn.relative_position_bias_table[offset] if together else -torch.inf
    mixed = torch.einsum("hqk,khd->qhd", scores.softmax(-1), value)
    return attn.proj(mixed.flatten(1)).view(1, height, width, -1)


@pytest.mark.parametrize("shape, shifted", [((5, 3), True), ((11, 9), False), ((11, 9), True), ((4, 10), True)])
@torch.no_grad()
def test_pixels_attend_to_the_pixels_of_their_window_alone(shape, shifted):
    made = block(shifted)
    x = torch.randn(1, *shape, 16)
    torch.testing.assert_close(made._attend(x), attention_of_real_pixels(made, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shifted", [False, True])
@torch.no_grad()
def test_maps_of_whole_windows_are_computed_as_timm_does(shifted):
    x = torch.randn(2, 16, 24, 16)
    torch.testing.assert_close(block(shifted)(x), block(shifted, padded=True)(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_single_window_is_not_shifted():
    x = torch.randn(1, 8, 8, 16)
    assert torch.equal(block(True)(x), block(False)(x))


def cost(kind: str, size: str) -> tuple[int, int]:
    """Parameters and operations of an encoder on 256 x 256 pixels."""
    encoder = build_encoder(kind, size, scan_backend="cpu")
    with torch.no_grad(), Count() as counted:
        encoder(torch.zeros(1, 1, 256, 256))
    return sum(p.numel() for p in encoder.parameters()), sum(o.flops for o in counted.operations)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", ["tiny", "base"])
def test_the_third_version_changes_the_hybrid_of_size_tiny_alone(kind, size):
    second, third = (build_encoder(kind, size, version=version).state_dict() for version in (2, 3))
    shapes = [{name: value.shape for name, value in state.items()} for state in (second, third)]
    assert (shapes[0] == shapes[1]) == ((kind, size) != ("hybrid", "tiny"))


def test_the_layout_of_the_second_version_builds_its_hybrid():
    torch.manual_seed(0)
    second = build_encoder(version=2).eval()
    named = build_encoder(layout="mm-mm-mma-aa").eval()
    named.load_state_dict(second.state_dict())
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert all(map(torch.equal, named(image), second(image)))


@pytest.mark.parametrize("size", ["tiny", "base"])
def test_kinds_have_equal_parameters_and_operations(size):
    parameters, operations = zip(*(cost(kind, size) for kind in KINDS), strict=True)
    assert max(parameters) < 1.05 * min(parameters) and max(operations) < 1.10 * min(operations)


def test_blocks_of_all_letters_learn():
    torch.manual_seed(0)
    layout = "lc-Ma-mL-aL"
    assert set(layout) - {"-"} == set(LETTERS)
    encoder = build_encoder(layout=layout)
    features = encoder(torch.rand(2, 1, 40, 72))
    sum((feature * torch.randn_like(feature)).sum() for feature in features).backward()
    assert not [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layout": "mm-mm-mm"}, "not four stages of letters out of mMlLac"),
        ({"layout": "mm--mm-aa"}, "not four stages"),
        ({"layout": "mm-mm-mx-aa"}, "not four stages"),
        ({"layout": "m-m-m-a", "kind": "swin"}, "has a fixed layout"),
        ({"version": 4}, "version 4 is unknown; choose one of 1, 2, 3"),
    ],
)
def test_unknown_layouts_and_versions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_encoder(**options)


def test_files_that_state_no_version_are_read_as_the_first(tmp_path):
    torch.manual_seed(0)
    former = create_model("jointwrist_tiny", **MICRO, encoder_version=1, head_version=1).eval()
    former.info = None  # as networks of earlier releases, it does not know its version
    save_weights(tmp_path / "old.safetensors", former, {"model": "jointwrist_tiny", "options": MICRO})
    loaded, info = load_weights(tmp_path / "old.safetensors")
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(image).erosion_logits, former(image).erosion_logits)
    assert (info["options"]["encoder_version"], info["options"]["head_version"]) == (1, 1)
    latest = create_model("jointwrist_tiny", **MICRO)
    assert latest.info["options"] == {**MICRO, "encoder_version": 3, "head_version": 2}
    save_weights(tmp_path / "new.safetensors", latest, {"model": "jointwrist_tiny", "options": MICRO})
    options = load_weights(tmp_path / "new.safetensors")[1]["options"]
    assert (options["encoder_version"], options["head_version"]) == (3, 2)


def test_an_unknown_version_of_the_erosion_head_is_refused():
    with pytest.raises(ValueError, match="version 3 of the erosion head is unknown; choose one of 1, 2"):
        create_model("jointwrist_tiny", **MICRO, head_version=3)


def test_a_run_takes_the_version_of_the_weights_that_it_starts_from():
    values = {"model": "jointwrist_tiny", "task": "joint"}
    config = build(RunConfig, values | {"start": "jointwrist_tiny"})
    assert load_weights(find_weights("jointwrist_tiny"))[1]["options"]["encoder_version"] == 1
    assert model_options(config)["encoder_version"] == 1
    assert model_options(build(RunConfig, values))["encoder_version"] == 3
    stated = build(RunConfig, values | {"options": {"encoder_version": 1, "head_version": 1}})
    assert model_options(stated) == {"encoder_version": 1, "head_version": 1}
    # runs of earlier releases keep their hash when the version is stated
    assert config_hash(stated) == config_hash(build(RunConfig, values))


def test_a_state_of_another_version_is_refused_with_the_option_that_continues_it(tmp_path):
    values = {"model": "jointwrist_tiny", "task": "joint"}
    old, new = (build(RunConfig, values | {"options": o}) for o in ({"encoder_version": 1, "head_version": 1}, {}))
    save_run(tmp_path / "state.pt", old, model_options(old), 1, {"epoch": 3})
    assert load_run(tmp_path / "state.pt", old, model_options(old), 1)["epoch"] == 3
    with pytest.raises(DataError, match=r"was begun with options.encoder_version=1 options.head_version=1; set that"):
        load_run(tmp_path / "state.pt", new, model_options(new), 1)


def test_weight_decay_spares_rates_steps_tables_norms_and_biases():
    encoder = build_encoder(layout="m-m-L-a")
    spared = {name.rpartition(".")[2] for name, p in encoder.named_parameters() if name in exempt_from_decay(encoder)}
    assert spared == {"weight", "bias", "A_logs", "Ds", "dt_projs_bias", "relative_position_bias_table"}
    decayed, rest = build_optimizer(encoder, OptimConfig(weight_decay=0.1)).param_groups
    assert decayed["weight_decay"] == 0.1 and rest["weight_decay"] == 0.0
    assert all(p.ndim > 1 for p in decayed["params"])
    assert len(decayed["params"]) + len(rest["params"]) == len(list(encoder.parameters()))
    everything = build_optimizer(encoder, OptimConfig(weight_decay=0.1, decay_all=True)).param_groups
    assert [len(group["params"]) for group in everything] == [len(list(encoder.parameters())), 0]


def test_the_erosion_head_may_have_a_learning_rate_of_its_own():
    model = create_model("jointwrist_tiny", **MICRO)
    groups = build_optimizer(model, OptimConfig(erosion_lr=0.2)).param_groups
    head = {id(p) for p in model.erosion.parameters()}
    slow = {id(p) for group in groups if group.get("relative_lr") == 0.2 for p in group["params"]}
    assert slow == head
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    # the groups of runs of earlier releases, whose states can then be continued
    assert [sorted(group) for group in build_optimizer(model, OptimConfig()).param_groups] == 2 * [
        sorted(torch.optim.AdamW([torch.zeros(1)]).param_groups[0])
    ]


def test_what_a_network_exempts_by_its_method_is_not_decayed():
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(2, 2)

        def no_weight_decay(self):
            return {"inner.weight"}

    outer = torch.nn.Sequential(Network(), torch.nn.Linear(2, 2))
    assert exempt_from_decay(outer) == {"0.inner.weight", "0.inner.bias", "1.bias"}
