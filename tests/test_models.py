"""What every model of the registry must do, prompted ones aside; sizes are the smallest that each takes."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

pytest.importorskip("monai")
pytest.importorskip("segmentation_models_pytorch")

from jointwrist.errors import DataError
from jointwrist.models.joint import JointOutput
from jointwrist.registry import create_model, list_models, model_spec
from jointwrist.weights.checkpoint import load_weights, save_weights
from jointwrist.weights.skip_init import SkipInit

NAMES = [name for task in ("joint", "segmentation", "erosion") for name in list_models(task=task)]

#: The pyramid of PAN needs eight positions at stride 16. The others have 100 million parameters and more.
SIZES = {"pan": 128, "dpt": 32, "swin_unet": 32, "transunet": 32}
#: Networks of one side alone.
FIXED = [name for name in NAMES if model_spec(name).size_dependent]
#: What the sides must be multiples of; the others take any size.
MULTIPLES = {
    "deeplabv3": 8, "deeplabv3plus": 16, "dpt": 32, "fpn": 32, "pan": 16, "pspnet": 8, "segformer": 32, "segresnet": 8,
    "swin_umamba": 32, "ukan": 32, "umamba_bot": 8, "umamba_enc": 8, "unet": 16,
}  # fmt: skip
#: Parameters that the paper, or the authors' code, has for each of its networks, by the names of the registry.
PARAMETERS = json.loads((Path(__file__).parent / "data" / "parameter_counts.json").read_text())


def size_of(name):
    return SIZES.get(name, 64)


def build(name):
    torch.manual_seed(0)
    return create_model(name, **options(name))


def options(name):
    return {"img_size": size_of(name)} if name in FIXED else {}


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    """A name and its model, built once for all tests that ask for it."""
    return request.param, build(request.param)


def logits(output):
    """All tensors of an output that the loss sees, by name."""
    if isinstance(output, JointOutput):
        return {
            key: getattr(output, key)
            for key in ("mask_logits", "distance_logits", "erosion_logits", "erosion_heat_maps")
        }
    return {"logits": output}


def expected_shapes(name, batch, height, width):
    if model_spec(name).task == "erosion":
        return {"logits": (batch, 2)}
    if model_spec(name).task == "segmentation":
        return {"logits": (batch, 14, height, width)}
    masks = (batch, 14, height, width)
    return {"mask_logits": masks, "distance_logits": masks, "erosion_logits": (batch, 6, 3)}


def assert_shapes(output, expected):
    found = {key: tuple(value.shape) for key, value in logits(output).items()}
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("name", list_models())
def test_parameter_count(name):
    # SAM has no room on a small machine; timm's older ones need numbers
    with torch.device("meta" if model_spec(name).task == "foundation" else "cpu"), SkipInit():
        model = create_model(name)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == model_spec(name).parameters == PARAMETERS.get(name, count)


def test_every_published_count_is_held():
    joint = set(list_models(task="joint"))
    assert set(PARAMETERS) == set(list_models()) - joint
    assert len({*PARAMETERS.values()}) == 26  # SAM with boxes and with points is one network


@pytest.fixture(scope="module")
def trained(network):
    """What three losses of a network with two steps between them show; it keeps its weights."""
    name, model = network
    start = {key: value.clone() for key, value in model.state_dict().items()}
    image = torch.rand(2, 1, size_of(name), size_of(name))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)  # half the time of 100 million parameters
    losses, found = [], SimpleNamespace()
    for step in range(3):
        torch.manual_seed(1)  # what is dropped stays the same
        with torch.set_grad_enabled(step < 2):
            output = logits(model.train()(image))
            targets = [(torch.rand(value.shape) < 0.3).float() for value in output.values()]
            loss = sum(map(functional.binary_cross_entropy_with_logits, output.values(), targets))
        losses.append(loss.item())
        if step == 2:
            break
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            found.shapes = {key: tuple(value.shape) for key, value in output.items()}
            gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
            found.without_gradient = {key for key, gradient in gradients.items() if gradient is None}
            found.finite = all(gradient.isfinite().all() for gradient in gradients.values() if gradient is not None)
        optimiser.step()
    found.losses, found.unseen_image = losses, torch.rand(1, 1, size_of(name), size_of(name))
    model.zero_grad()
    model.load_state_dict(start)
    return found


def test_a_gradient_reaches_every_parameter_that_is_not_named_as_unused(network, trained):
    _, model = network
    unused = getattr(model, "unused_parameters", ())
    assert trained.without_gradient == {key for key, _ in model.named_parameters() if key.startswith(unused)}
    assert trained.finite


def test_a_batch_of_images_gives_the_shapes_of_its_task(network, trained):
    expected = expected_shapes(network[0], 2, size_of(network[0]), size_of(network[0]))
    assert {key: trained.shapes[key] for key in expected} == expected


def test_training_steps_lower_the_loss(trained):
    assert trained.losses[-1] < trained.losses[0], trained.losses


def test_oblong_images_of_odd_sides_are_taken_and_otherwise_multiples_alone(network):
    name, model = network
    size, multiple = size_of(name), MULTIPLES.get(name)
    if name in FIXED:
        pytest.skip("built for one size")
    # a step of the multiple higher than wide, so that no greater multiple hides behind it
    shapes = [(size + multiple, size)] if multiple else [(size + 3, size + 7), (size + 33, size + 1)]
    for height, width in shapes:
        with torch.no_grad():
            assert_shapes(model.eval()(torch.rand(1, 1, height, width)), expected_shapes(name, 1, height, width))
    if multiple:
        with pytest.raises(DataError, match=f"multiples of {multiple}.*, not 128 x {128 + multiple // 2} pixels"):
            model(torch.rand(1, 1, 128, 128 + multiple // 2))


@pytest.mark.parametrize("name", FIXED)
def test_a_model_of_one_size_refuses_others(name):
    with SkipInit():
        model = create_model(name, img_size=64)
    with pytest.raises(DataError, match="built for 64 pixels"):
        model(torch.rand(1, 1, 64, 96))
    with pytest.raises(ValueError, match="multiple of"):
        create_model(name, img_size=72)


def test_sides_below_the_least_are_refused():
    for name in ("pan", "unetpp", "medmamba", "umamba_bot"):
        with torch.device("meta"):
            model = create_model(name)
        with pytest.raises(DataError, match="or more, not 8 x 8 pixels"):
            model(torch.rand(1, 1, 8, 8, device="meta"))


def test_weights_come_back(network, tmp_path):
    name, model = network
    path = tmp_path / "weights.safetensors"
    save_weights(path, model, {"model": name, "options": options(name)})
    loaded, _ = load_weights(path)
    state = loaded.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    built = dict(loaded.named_buffers())  # also those that no file holds
    assert all(torch.equal(value, built[key]) for key, value in model.named_buffers())


@pytest.mark.parametrize("name", ["mobilenet", "unetpp"])
def test_no_weights_are_drawn_where_those_of_a_file_replace_them(name):
    before = torch.get_rng_state()
    with SkipInit():
        create_model(name)
    assert torch.equal(torch.get_rng_state(), before)
    create_model(name)
    assert not torch.equal(torch.get_rng_state(), before)


def round_at_random(value, generator):
    """Round float32 to bfloat16, up or down with a probability such that the mean is the value."""
    if not value.is_floating_point():
        return value
    bits = value.contiguous().view(torch.int32)
    added = torch.randint(0, 1 << 16, bits.shape, generator=generator, dtype=torch.int32)
    return (bits + added & ~0xFFFF).view(torch.float32)


def test_bfloat16_errs_no_more_than_rounded_weights_would(network, trained):
    _, model = network
    image = trained.unseen_image
    if hasattr(model, "erosion"):  # heat maps near 0, not near -3, where bfloat16 has steps of 1/64
        model = copy.deepcopy(model)
        torch.nn.init.zeros_(model.erosion.network.map_head.bias)
        with torch.no_grad():  # means and variances of the normalisation
            for _ in range(20):
                model.train()(image)
    generator, deviations = torch.Generator().manual_seed(0), defaultdict(list)
    with torch.no_grad():
        exact = logits(model.eval()(image))
        for _ in range(4):  # a single draw can leave the six erosion scores unchanged by chance
            state = {key: round_at_random(value, generator) for key, value in model.state_dict().items()}
            rounded = logits(functional_call(model, state, round_at_random(image, generator), tie_weights=False))
            for key, value in exact.items():
                deviations[key].append((rounded[key] - value).square().sum())
        with torch.autocast("cpu", torch.bfloat16):
            mixed = logits(model(image))
    for key, value in exact.items():
        # rounding once, at the beginning, measures how a network amplifies it; autocast rounds in every layer
        assert (mixed[key].float() - value).norm() <= 6 * torch.stack(deviations[key]).mean().sqrt()
