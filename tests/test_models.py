"""What every model of the registry must do, prompted ones aside; sizes are the smallest that each takes."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

pytest.importorskip("monai")
pytest.importorskip("segmentation_models_pytorch")

from jointwrist.engine.checkpoint import load_weights, save_weights
from jointwrist.errors import DataError
from jointwrist.models.joint import JointOutput
from jointwrist.registry import create_model, list_models, model_spec

NAMES = [name for task in ("joint", "segmentation", "erosion") for name in list_models(task=task)]

#: The pyramid of PAN needs eight positions at stride 16.
SIZES = {"pan": 128}
#: Networks of one side alone.
FIXED = [name for name in NAMES if model_spec(name).size_dependent]
#: What the sides must be multiples of; the others take any size.
MULTIPLES = {
    "deeplabv3": 8, "deeplabv3plus": 16, "dpt": 32, "fpn": 32, "pan": 16, "pspnet": 8, "segformer": 32, "segresnet": 8,
    "swin_umamba": 32, "ukan": 32, "umamba_bot": 8, "umamba_enc": 8, "unet": 16,
}  # fmt: skip
#: Too big to be built more than once. DPT has a test of its own, the others run in those of their outputs.
HEAVY = ("dpt", "swin_umamba", "swin_unet", "transunet")


def size_of(name):
    return SIZES.get(name, 64)


def build(name):
    torch.manual_seed(0)
    return create_model(name, **options(name))


def options(name):
    return {"img_size": size_of(name)} if name in FIXED else {}


@pytest.fixture(scope="module", params=[name for name in NAMES if name not in HEAVY])
def network(request):
    """A name and its model, built once for all tests that ask for it."""
    return request.param, build(request.param)


def logits(output):
    """All tensors of an output that the loss sees, by name."""
    if isinstance(output, JointOutput):
        return {
            key: getattr(output, key) for key in ("mask_logits", "distance_logits", "erosion_logits", "erosion_maps")
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


@pytest.mark.parametrize("name", NAMES)
def test_parameter_count(name):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == model_spec(name).parameters


def test_a_gradient_reaches_every_parameter_that_is_not_named_as_unused(network):
    check_gradients(*network)


def test_a_size_one_step_up_is_taken(network):
    name, model = network
    if name not in FIXED:
        check_size_one_step_up(name, model)


def test_dpt_does_as_much():
    model = build("dpt")
    check_gradients("dpt", model)
    check_size_one_step_up("dpt", model)


def check_gradients(name, model):
    size = size_of(name)
    model.zero_grad()
    output = model.train()(torch.rand(2, 1, size, size))
    assert_shapes(output, expected_shapes(name, 2, size, size))
    sum(value.square().sum() for value in logits(output).values()).backward()
    unused = getattr(model, "unused_parameters", ())
    assert {key for key, parameter in model.named_parameters() if parameter.grad is None} == {
        key for key, _ in model.named_parameters() if key.startswith(unused)
    }
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def check_size_one_step_up(name, model):
    """An oblong image, a step of the multiple higher than wide, so that no greater multiple hides behind it."""
    size, multiple = size_of(name), MULTIPLES.get(name)
    height, width = (size + multiple, size) if multiple else (size + 3, size + 7)
    with torch.no_grad():
        assert_shapes(model.eval()(torch.rand(1, 1, height, width)), expected_shapes(name, 1, height, width))


def test_a_step_against_the_gradient_lowers_the_loss(network):
    name, model = network
    model.eval().zero_grad()
    image = torch.rand(2, 1, size_of(name), size_of(name))
    state = {key: value.detach().clone() for key, value in model.named_parameters()}

    def loss():
        torch.manual_seed(1)
        return sum((value - torch.randn_like(value)).square().mean() for value in logits(model(image)).values())

    before = loss()
    before.backward()
    with torch.no_grad():
        gradients = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
        square = sum(float(gradient.square().sum()) for gradient in gradients.values())
        lowered = False
        for share in (1e-3, 1e-4, 1e-5):
            # to first order the loss falls by this share; where it is strongly curved, only a small one holds
            for key, gradient in gradients.items():
                model.get_parameter(key).copy_(state[key] - share * float(before) / square * gradient)
            lowered = lowered or bool(loss() < before)
        for key, parameter in model.named_parameters():
            parameter.copy_(state[key])
    model.zero_grad()
    assert lowered


@pytest.mark.parametrize("name", MULTIPLES)
def test_sides_between_two_multiples_are_refused(name):
    with torch.device("meta"):
        model = create_model(name)
    multiple = MULTIPLES[name]
    with pytest.raises(DataError, match=f"multiples of {multiple}.*, not 128 x {128 + multiple // 2} pixels"):
        model(torch.rand(1, 1, 128, 128 + multiple // 2, device="meta"))


@pytest.mark.parametrize("name", FIXED)
def test_a_model_of_one_size_refuses_others(name):
    with torch.device("meta"):
        model = create_model(name, img_size=64)
    with pytest.raises(DataError, match="built for 64 pixels"):
        model(torch.rand(1, 1, 64, 96, device="meta"))
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


def test_bfloat16_errs_no_more_than_rounded_weights_would(network):
    name, model = network
    image = torch.rand(1, 1, size_of(name), size_of(name))
    state = {
        key: value.bfloat16().float() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    with torch.no_grad():
        exact = logits(model.eval()(image))
        rounded = logits(functional_call(model, state, image.bfloat16().float(), tie_weights=False))
        with torch.autocast("cpu", torch.bfloat16):
            mixed = logits(model(image))
    for key, value in exact.items():
        # rounding once, at the beginning, measures how a network amplifies it; autocast rounds in every layer
        assert (mixed[key].float() - value).norm() <= 8 * (rounded[key] - value).norm()
