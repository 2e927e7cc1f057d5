"""Scores beside that of erosion: narrowing of the six sites of the wrist, from anatomy and table to a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from jointwrist.anatomy import NOT_SCORED, WRIST, load_anatomy, parse_anatomy
from jointwrist.benchmark.tables.further import further_tables
from jointwrist.benchmark.tables.results import Results
from jointwrist.config import ConfigError, build
from jointwrist.data.dataset.tables import read_further_scores
from jointwrist.engine.config.run_config import ErosionConfig, RunConfig
from jointwrist.engine.loop.build import build_model
from jointwrist.engine.tasks.erosion_losses import further_losses, pixel_losses
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.errors import DataError
from jointwrist.losses import ordinal_loss
from jointwrist.metrics.erosion import quadratic_kappa
from jointwrist.metrics.ordinal import ordinal_figures
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.phantom.narrowing import NORMAL_MM, SITES, narrowing_scores
from jointwrist.phantom.stream import PhantomStream

NARROWING = load_anatomy("wrist_narrowing")
PLAIN = PhantomConfig(size=96, prevalence=0, cyst_rate=0, notch_rate=0, osteophyte_rate=0)


def network(anatomy, head="pooled"):
    values = {
        "model": "jointwrist_tiny",
        "task": "joint",
        "image_size": 64,
        "options": {
            "encoder": "conv", "widths": [16, 16, 8, 8, 8], "roi_channels": 8, "roi_crop": 32, "roi_dim": 32,
            "erosion_head": head,
        },
    }  # fmt: skip
    torch.manual_seed(0)
    return build_model(build(RunConfig, values), anatomy).eval()


def test_an_anatomy_builds_on_another():
    assert NARROWING.bones == WRIST.bones and NARROWING.overlaps == WRIST.overlaps and NARROWING.region == WRIST.region
    assert NARROWING.joints[:6] == WRIST.joints and NARROWING.erosion == WRIST.erosion
    (score,) = NARROWING.further_scores
    sites = [site.replace("SC", "Scaphocapitate") for site in SITES]
    assert (score.name, score.highest, score.levels) == ("narrowing", 4, 5)
    assert [joint.name for joint in NARROWING.scored_joints("narrowing")] == sites
    assert WRIST.further_scores == ()
    with pytest.raises(ConfigError, match="base is 'foot'; anatomies of the package are hand, mcp, wrist"):
        parse_anatomy({"name": "toe", "base": "foot"}, "toe.yaml")
    with pytest.raises(ConfigError, match="given twice"):
        parse_anatomy({"name": "more", "base": "wrist", "bones": [{"name": "Lunate"}]}, "more.yaml")
    taken = {"name": "more", "base": "wrist", "scores": [{"name": "segmentation"}]}
    with pytest.raises(ConfigError, match="the name segmentation is used by another results table"):
        parse_anatomy(taken, "more.yaml")


@pytest.mark.parametrize("head", ["pooled", "shapes"])
def test_erosion_is_the_same_function_with_and_without_a_second_score(head):
    plain, more = network(WRIST, head), network(NARROWING, head)
    added = {name for name in more.state_dict() if name not in plain.state_dict()}
    assert added == {
        f"erosion.further.0.{name}" for name in ("joint_bias", "first_cut", "cut_steps", "value.weight", "value.bias")
    }
    shared = more.state_dict()
    # what has a row per joint takes those of the first six
    shared = {name: shared[name][: len(own)] if own.ndim else shared[name] for name, own in plain.state_dict().items()}
    plain.load_state_dict(shared)
    image, masks = torch.rand(1, 1, 64, 64), torch.rand(1, 14, 64, 64)
    with torch.no_grad():
        without, both = plain(image, forced_masks=masks), more(image, forced_masks=masks)
    assert without.further_logits is None and both.further_logits.shape == (1, 1, 12, 4)
    assert (both.further_logits.diff(dim=-1) < 0).all()
    if head == "shapes":  # in the pooled head all joints of a wrist see each other
        torch.testing.assert_close(both.erosion_heat_maps[:, :6], without.erosion_heat_maps)
        torch.testing.assert_close(both.erosion_logits[:, :6], without.erosion_logits)


def test_the_loss_is_that_of_the_scored_joints_and_joints_of_narrowing_have_no_erosion_pixels():
    model, scores = network(NARROWING).train(), torch.full((2, 1, 12), NOT_SCORED)
    scores[0, 0, 6:9] = torch.tensor([0, 4, 2])
    image = torch.rand(2, 1, 64, 64)
    output = model(image, forced_masks=torch.rand(2, 14, 64, 64))
    output = output._replace(roi_valid=torch.ones_like(output.roi_valid))
    batch = {"further_scores": scores, "image": image}
    config = ErosionConfig(further_scores=0.5)
    losses = further_losses(output, batch, config, StepContext(), NARROWING)
    wanted = ordinal_loss(output.further_logits[:1, 0, 6:9], scores[:1, 0, 6:9], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(losses["narrowing"], 0.5 * wanted)
    losses["narrowing"].backward()
    assert model.erosion.further[0].value.weight.grad.abs().sum() > 0

    batch |= {"has_eroded": torch.ones(2, dtype=torch.bool), "eroded": torch.zeros(2, 64, 64, dtype=torch.int16)}
    maps = output.erosion_heat_maps.detach().clone()
    losses = []
    for value in (0.0, 9.0):
        maps[:, 6:] = value
        losses.append(pixel_losses(output._replace(erosion_heat_maps=maps), batch, config, StepContext(), NARROWING))
    assert losses[0]["map"] == losses[1]["map"]


def test_figures_are_those_of_the_definitions_and_of_repeated_rows():
    rng = np.random.default_rng(0)
    target, level, probability = rng.integers(0, 5, 40), rng.integers(0, 5, 40), rng.random(40)
    figures = ordinal_figures(target, level, probability)
    assert figures["QWK"][0] == pytest.approx(quadratic_kappa(target, level))
    assert figures["accuracy"][0] == pytest.approx((target == level).mean())
    counts = rng.integers(0, 3, (2, 40))
    weighted = ordinal_figures(target, level, probability, counts)
    for row, count in enumerate(counts):
        repeated = ordinal_figures(*(np.repeat(values, count) for values in (target, level, probability)))
        assert [weighted[name][row] for name in weighted] == pytest.approx([repeated[name][0] for name in repeated])
    assert np.isnan(ordinal_figures(np.zeros(3), np.zeros(3), np.zeros(3))["QWK"][0])
    assert ordinal_figures(np.ones(3), np.zeros(3), np.zeros(3))["QWK"][0] == 0


def test_a_table_of_the_second_score():
    rows = pd.DataFrame(
        {
            "case": np.repeat(["a", "b", "c", "d"], 2), "patient": np.repeat(["1", "2", "3", "4"], 2),
            "joint": ["CMC3", "SR"] * 4, "score": [0, 1, 2, 3, 4, 0, 0, 2], "level": [0, 1, 2, 3, 4, 0, 0, 1],
            "probability": [0.1, 0.8, 0.9, 0.9, 0.9, 0.1, 0.2, 0.7], "run": "unet", "seed": 1,
        }
    )  # fmt: skip
    record = {"model": "unet", "run": "unet", "status": "ok", "seed": 1, "data": "x", "protocol": "p", "config": {}}
    from jointwrist.anatomy import anatomy_info

    (table,) = further_tables(Results([{**record, **anatomy_info(NARROWING)}], {"narrowing": rows}))
    pooled, first, _ = table.rows
    assert table.name == "narrowing" and pooled["Joint"] == "pooled" and pooled["above 0"] == "5 of 8"
    assert pooled["accuracy %"].mean == pytest.approx(87.5) and first["QWK"].mean == 1
    assert pooled["QWK"].low <= pooled["QWK"].mean <= pooled["QWK"].high
    assert "QWK" in table.markdown()


def test_a_table_of_scores_is_read_by_any_spelling_and_its_faults_are_named(tmp_path):
    path = tmp_path / "narrowing.csv"
    path.write_text("identifier,CMC-M,3rd carpometacarpal joint x\n1_1_L,2,\n")
    with pytest.raises(DataError, match="unknown joint '3rd carpometacarpal joint x'"):
        read_further_scores(tmp_path, anatomy=NARROWING)
    path.write_text("identifier,CMC-M,SR,STT\n1_1_L,2,,0\n1_1_R,4,3,\n")
    found = read_further_scores(tmp_path, anatomy=NARROWING)
    assert found == {
        "1_1_L": ((-1,) * 6 + (2, -1, -1, 0, -1, -1),),
        "1_1_R": ((-1,) * 6 + (4, -1, -1, -1, -1, 3),),
    }
    assert read_further_scores(tmp_path) == {}
    for line, said in (
        ("1_1_L,5,,", "score 5 is not one of 0 to 4"),
        ("1_1_L,x,,", "score 'x' is not one of 0 to 4"),
        ("1_1_L,1,,,7", "more cells than the first line"),
        (",1,,", "has no identifier"),
        ("1_1_L,1,,\n1_1_L,1,,", "is scored twice"),
    ):
        path.write_text(f"identifier,CMC3,SR,STT\n{line}\n")
        with pytest.raises(DataError, match=said):
            read_further_scores(tmp_path, anatomy=NARROWING)
    path.write_text("identifier,Lunate\n1_1_L,1\n")
    with pytest.raises(DataError, match="Lunate is not scored for narrowing"):
        read_further_scores(tmp_path, anatomy=NARROWING)


def test_a_phantoms_narrowing_moves_its_bones_and_grows_its_scores():
    plain, narrow = make_wrist(3, 0, PLAIN), make_wrist(3, 0, replace(PLAIN, narrowing=1.0))
    assert (plain.bones != narrow.bones).any()
    assert all(after >= before for before, after in zip(plain.narrowing, narrow.narrowing, strict=True))
    assert sum(narrow.narrowing) > sum(plain.narrowing)
    healthy = {site: 1.1 * width for site, width in NORMAL_MM.items()}
    assert narrowing_scores(healthy, 1.1, ()) == (0,) * 6
    assert narrowing_scores(healthy, 1.1, [("Capitate", "Metacarpal3rd")]) == (4, 0, 0, 0, 0, 0)
    half = {**healthy, "SR": 0.6 * healthy["SR"], "STT": 0.0}
    assert narrowing_scores(half, 1.1, ()) == (0, 0, 0, 3, 0, 2)


def test_phantoms_made_on_the_fly_teach_narrowing():
    config = replace(PLAIN, size=64, narrowing=1.0)
    item, plain = (PhantomStream(2, 3, config, True, anatomy)[0] for anatomy in (NARROWING, WRIST))
    assert "further_scores" not in plain and item["further_scores"].shape == (1, 12)
    assert item["further_scores"][0, 6:].tolist() == list(make_wrist(3, 0, config).narrowing)
    assert (item["further_scores"][0, :6] == NOT_SCORED).all() and (item["scores"][6:] == NOT_SCORED).all()
    assert (item["scores"][:6] == plain["scores"]).all() and (item["bones"] == plain["bones"]).all()
