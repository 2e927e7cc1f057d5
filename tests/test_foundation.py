"""Prompts against scipy, and SAM against transformers' own processor, one bone at a time."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch

from jointwrist.config import ConfigError, build
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.build import build_model
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.errors import DataError
from jointwrist.registry import create_model, list_models, model_spec
from jointwrist.weights.checkpoint import save_weights

transformers = pytest.importorskip("transformers")
ndimage = pytest.importorskip("scipy.ndimage")

from jointwrist_baselines.foundation import sam as foundation  # noqa: E402

SIDE = 48


@pytest.fixture(scope="module")
def config():
    return transformers.SamConfig(
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 8,
            "window_size": 4,
            "global_attn_indexes": [1],
            "output_channels": 16,
            "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    )


@pytest.fixture(scope="module")
def folder(config, tmp_path_factory):
    """A local folder as a hub would serve it, with a preprocessing of its own and weights whose outputs differ."""
    folder = tmp_path_factory.mktemp("sam")
    torch.manual_seed(0)
    sam, processor = foundation.random_sam(config)
    for parameter in sam.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    processor.image_mean, processor.image_std = [0.3, 0.4, 0.5], [0.2, 0.3, 0.4]
    sam.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def masks():
    masks = torch.zeros(2, 14, SIDE, SIDE, dtype=torch.bool)
    generator = torch.Generator().manual_seed(2)
    for image in range(2):
        for bone in range(14):
            x, y, w, h = torch.randint(1, SIDE // 2, (4,), generator=generator).tolist()
            masks[image, bone, y : y + h, x : x + w] = torch.rand(h, w, generator=generator) > 0.3
            masks[image, bone, y, x] = True
    masks[0, 3] = masks[1, 5] = False
    return masks


def test_boxes_and_points_equal_scipys(masks):
    boxes, has_box = foundation.box_prompts(masks)
    points, has_point = foundation.point_prompts(masks)
    for image in range(2):
        for bone in range(14):
            mask = masks[image, bone].numpy()
            assert has_box[image, bone] == has_point[image, bone] == mask.any()
            if mask.any():
                rows, columns = ndimage.find_objects(mask.astype(int))[0]
                expected = [columns.start, rows.start, columns.stop - 1, rows.stop - 1]
                assert boxes[image, bone].tolist() == expected
                y, x = ndimage.center_of_mass(mask)
                assert points[image, bone].tolist() == pytest.approx([x, y], abs=1e-4)
            else:
                assert boxes[image, bone].tolist() == [0, 0, 0, 0] and points[image, bone].tolist() == [0, 0]


def test_a_mask_of_one_pixel_has_a_box_of_no_extent():
    mask = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    mask[0, 0, 4, 7] = True
    assert foundation.box_prompts(mask)[0].flatten().tolist() == [7, 4, 7, 4]
    assert foundation.point_prompts(mask)[0].flatten().tolist() == [7, 4]


@pytest.mark.parametrize("source", foundation.PROMPT_SOURCES)
@pytest.mark.parametrize("choice", foundation.MASK_CHOICES)
def test_equals_transformers_processor_one_bone_at_a_time(folder, images, masks, source, choice):
    name = "sam_point" if source == "true point" else "sam_box"
    model = create_model(name, weights=folder, prompt_source=source, mask_choice=choice, side=SIDE).eval()
    sam = transformers.SamModel.from_pretrained(folder).eval()
    processor = transformers.SamProcessor(transformers.SamImageProcessor.from_pretrained(folder))
    with torch.no_grad():
        logits = model(images, masks)
    assert logits.shape == masks.shape and model.prompt_source == source
    for image, bone in ((0, 0), (0, 7), (1, 13)):
        rows, columns = ndimage.find_objects(masks[image, bone].numpy().astype(int))[0]
        y, x = ndimage.center_of_mass(masks[image, bone].numpy())
        box = [columns.start, rows.start, columns.stop - 1.0, rows.stop - 1.0]
        prompt = {"input_points": [[[x, y]]]} if source == "true point" else {"input_boxes": [[box]]}
        inputs = processor(images[image].expand(3, -1, -1), do_rescale=False, return_tensors="pt", **prompt)
        inputs = {key: value.float() if value.is_floating_point() else value for key, value in inputs.items()}
        sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
        with torch.no_grad():
            output = sam(**inputs, multimask_output=choice != "single")
        every = processor.image_processor.post_process_masks(output.pred_masks, *sizes, binarize=False)[0][0]
        expected = every[output.iou_scores[0, 0].argmax() if choice == "best" else 0]
        torch.testing.assert_close(logits[image, bone], expected, rtol=1e-3, atol=1e-4)


def test_choices_and_prompts_make_a_difference(folder, images, masks):
    model = create_model("sam_box", weights=folder, side=SIDE).eval()
    outputs = []
    with torch.no_grad():
        for choice in foundation.MASK_CHOICES:
            model.mask_choice = choice
            outputs.append(model(images, masks))
        shifted = model(images, masks.roll(8, -1))
    assert all(not torch.allclose(one, other) for one, other in zip(outputs, [*outputs[1:], shifted], strict=True))


def test_the_image_is_encoded_once_for_all_bones(folder, images, masks):
    model = create_model("medsam_box", weights=folder, side=SIDE).eval()
    seen = []
    model.sam.vision_encoder.register_forward_hook(lambda module, args, kwargs, out: seen.append(out), with_kwargs=True)
    with torch.no_grad():
        model(images, masks)
    assert len(seen) == 1 and len(seen[0].last_hidden_state) == len(images)


def test_a_bone_without_a_prompt_is_empty_and_disturbs_no_other(folder, images, masks):
    model = create_model("sam_box", weights=folder, side=SIDE).eval()
    with torch.no_grad():
        logits = model(images, masks)
        filled = masks.clone()
        filled[0, 3] = True
        others = model(images, filled)
    assert (logits[0, 3] == foundation.EMPTY_LOGIT).all() and (logits[1, 5] == foundation.EMPTY_LOGIT).all()
    assert not (others[0, 3] == foundation.EMPTY_LOGIT).any()
    kept = [bone for bone in range(14) if bone != 3]
    torch.testing.assert_close(logits[0, kept], others[0, kept])


def test_images_of_another_size_pass_through_the_published_one(folder, images, masks):
    model = create_model("sam_box", weights=folder, side=SIDE).eval()
    twice = torch.nn.functional.interpolate(images, scale_factor=2, mode="nearest")
    with torch.no_grad():
        logits = model(twice, masks.repeat_interleave(2, -1).repeat_interleave(2, -2))
        small = model(torch.nn.functional.interpolate(twice, (SIDE, SIDE), mode="bilinear", antialias=True), masks)
    expected = torch.nn.functional.interpolate(small, (2 * SIDE, 2 * SIDE), mode="bilinear")
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", list_models(task="foundation"))
def test_parameter_count_of_the_published_size(name):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == model_spec(name).parameters
    assert (model.mask_choice, model.side) == ("single" if name == "medsam_box" else "first", 512)


def test_random_weights_of_a_given_configuration(config, images, masks):
    model = create_model("sam_box", config=config, side=SIDE)
    assert model(images, masks).shape == masks.shape


def test_wrong_options_are_refused(config, folder, images, masks):
    with pytest.raises(ValueError, match="true point"):
        create_model("sam_point", config=config, prompt_source="true box")
    with pytest.raises(ValueError, match="not both"):
        create_model("sam_box", config=config, weights=folder)
    with pytest.raises(ValueError, match="first, best, single"):
        create_model("sam_box", config=config, mask_choice="second")
    with pytest.raises(ValueError, match="differ"):
        create_model("sam_box", config=config, side=SIDE)(images, masks[:1])


def test_absent_weights_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for absent in (tmp_path / "nowhere", "wanglab/medsam-vit-base-not-there", "a/b/c/d"):
        with pytest.raises(DataError, match="give a folder with"):
            create_model("medsam_box", weights=absent)


def test_weights_that_leave_parameters_unset_are_refused(folder, tmp_path):
    sam = transformers.SamModel.from_pretrained(folder)
    state = sam.state_dict()
    del state["mask_decoder.iou_token.weight"]
    sam.save_pretrained(tmp_path, state_dict=state)
    transformers.SamImageProcessor.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(DataError, match=r"1 of SAM's parameters unset, mask_decoder\.iou_token\.weight"):
        create_model("sam_box", weights=tmp_path)


def run_benchmark(tmp_path, *arguments):
    """The rows of a run over a small phantom, and the records of its jobs."""
    protocol = tmp_path / "small.yaml"
    protocol.write_text(
        "name: small\nsummary: x\nmodels: [unet]\nphantom: {wrists: 16, size: 64}\n"
        "defaults: {image_size: 48, optim: {epochs: 1, batch_size: 4}}\n"
    )
    from benchmarks.run_all import main

    code = main(["--protocol", str(protocol), "--results", str(tmp_path / "results"), *arguments])
    folder = tmp_path / "results" / "small-phantom"
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("jobs/*/job.json"))]
    return code, folder, records


def test_the_benchmark_tests_them_without_training_and_names_their_prompts(folder, tmp_path):
    code, results, records = run_benchmark(
        tmp_path, "--models", "sam_box", "--set", f"options.weights={folder}", "options.prompt_source=true box"
    )
    assert code == 0 and [record["epochs"] for record in records] == [0]
    rows = pd.read_csv(next(results.glob("jobs/sam_box-*/segmentation.csv")))
    assert rows.case.nunique() >= 1 and set(rows.model) == {"sam_box"}
    table = (results / "tables" / "segmentation.md").read_text()
    assert "prompts: true box" in table and "`sam_box`" in table
    assert not list(results.glob("jobs/*/*.safetensors"))


@pytest.mark.usefixtures("no_report")
def test_without_weights_the_benchmark_has_an_error_row_and_goes_on(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, _, records = run_benchmark(tmp_path, "--models", "sam_point", "unet")
    status = {record["model"]: record["status"] for record in records}
    assert code == 1 and status == {"sam_point": "error", "unet": "ok"}
    assert "options.weights" in next(record["error"] for record in records if record["model"] == "sam_point")


def test_boxes_round_the_masks_of_another_network(folder, tmp_path, dataset):
    torch.manual_seed(0)
    network = create_model("unet")
    save_weights(tmp_path / "unet.safetensors", network, {"model": "unet", "options": {}})
    values = {"model": "sam_box", "task": "foundation", "image_size": SIDE}
    options = {"weights": str(folder), "prompt_source": "predicted box"}
    with pytest.raises(ConfigError, match=r"joint\.segmenter"):
        build_task(build(RunConfig, values | {"options": options}))
    joint = {"segmenter": str(tmp_path / "unet.safetensors")}
    config = build(RunConfig, values | {"options": options, "joint": joint})
    task, data = build_task(config), load_run_data(config, dataset)
    item = {key: torch.stack([value]) for key, value in data.test[0].items() if isinstance(value, torch.Tensor)}
    batch = task.prepare(item, training=False)
    model = build_model(config).eval()
    with torch.no_grad():
        expected = model(batch["image"], network.eval()(batch["image"]) > 0)
        assert torch.equal(task.forward(model, batch), expected)
        assert not torch.equal(expected, model(batch["image"], batch["masks"]))
