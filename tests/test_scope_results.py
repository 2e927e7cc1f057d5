"""The scope of weights: what a result says of bones and joints outside it, and that their scores are withheld."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from dicom_results import SIZE, Recall

from benchmarks.scope_metal import planes_of
from jointwrist.anatomy import JOINTS, WRIST, bone_index
from jointwrist.commands.result_writer import summary
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.scope.aligned_wrist import WRIST_ROWS, align_wrist
from jointwrist.inference.scope.assess import FEATURES
from jointwrist.inference.scope.joint_line import joint_line
from jointwrist.inference.scope.neighbours import LINE_FEATURES, NEIGHBOURS, line_features
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.weights.metadata_fields import read_description
from jointwrist.weights.scope_model import FINDINGS, NETWORK, Logistic, ScopeModel
from jointwrist.weights.small_network import Convolution, SmallNetwork

PLAIN = PhantomConfig(size=SIZE, field_of_view=(100.0, 100.0), prevalence=0.0, variation=0.5)


def saying(**logits: float) -> ScopeModel:
    """Models of scope that call what is named."""
    wrist = align_wrist(*network_view(phantom(PLAIN)))
    counts = {name: len(measure(wrist)) for name, measure in FEATURES.items()}
    said = {name: logits.get(name.replace(" ", "_"), -1.0) for name in FINDINGS}
    findings = {name: always(counts[name], logit) for name, logit in said.items()}
    findings[NETWORK] = always_network(counts[NETWORK], said[NETWORK])
    fusion = always(LINE_FEATURES, logits.get("fusion", -1.0))
    return ScopeModel(findings, dict.fromkeys(range(len(NEIGHBOURS)), fusion))


def always(count: int, logit: float) -> Logistic:
    """A model that says the same of everything."""
    return Logistic(np.zeros(count), np.ones(count), np.zeros(count), logit, 0.0)


def always_network(planes: int, logit: float) -> SmallNetwork:
    """A network that says the same of everything."""
    layer = Convolution(np.zeros((1, planes, 1, 1), np.float32), np.full(1, logit, np.float32), 1, 1)
    return SmallNetwork((layer,), 1, 0.0)


def network_view(wrist: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, and logits of the masks."""
    return wrist[0], np.where(wrist[1], 8, -8).astype(np.float32)


def phantom(config: PhantomConfig) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and masks of a right wrist."""
    wrist = make_wrist(3, 1, config)
    image, masks = wrist.image[0], unpack_masks(wrist.bones)
    return (image[:, ::-1], masks[..., ::-1]) if wrist.side == "L" else (image, masks)


@pytest.fixture(scope="module")
def plain() -> tuple[np.ndarray, np.ndarray]:
    return phantom(PLAIN)


def predict(plain, scope: ScopeModel | None, **options):
    image, masks = plain
    predictor = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False, device="cpu", scope=scope, **options)
    return predictor(np.ascontiguousarray(image), side="R").single()


def test_weights_without_scope_answer_as_before(plain) -> None:
    result = predict(plain, None)
    assert result.scope is None and result.to_dict()["scope"] is None and not result.withheld.any()
    assert result.scored.sum() == 5 and "withheld" not in result.to_dict()["joints"][0]


def test_within_scope_nothing_is_withheld(plain) -> None:
    before, result = predict(plain, None), predict(plain, saying())
    np.testing.assert_array_equal(result.probabilities, before.probabilities)
    assert not result.scope.findings and not any(result.scope.bones) and result.scope_notes == ()


def test_a_cast_withholds_every_score_unless_asked(plain) -> None:
    result = predict(plain, saying(cast=1.0))
    assert result.scope.findings == ("cast",) and not result.scored.any()
    assert result.withheld.tolist() == [True] * 5 + [False]
    entry = result.to_dict()["joints"][0]
    assert entry["withheld"] and entry["scope"] == [{"status": "outside the weights' scope", "reason": "cast"}]
    assert "probability" not in entry and len(entry["box"]) == 4
    json.dumps(result.to_dict())
    assert "outside the weights' scope (cast): all bones" in summary(result) and "scores withheld" in summary(result)
    asked, before = predict(plain, saying(cast=1.0), score_out_of_scope=True), predict(plain, None)
    np.testing.assert_array_equal(asked.probabilities, before.probabilities)
    assert asked.to_dict()["joints"][0]["scope"] == entry["scope"] and not asked.withheld.any()


def test_an_implant_withholds_every_score_and_says_so(plain) -> None:
    result = predict(plain, saying(implant=1.0))
    assert result.scope.findings == ("implant",) and not result.scored.any()
    assert "outside the weights' scope (implant): all bones" in summary(result)


@pytest.mark.parametrize("name", [*FINDINGS, "fusion"])
def test_a_model_of_other_features_is_named_with_a_remedy(plain, name) -> None:
    scope = saying()
    if name == "fusion":
        scope = replace(scope, fusion=dict.fromkeys(scope.fusion, always(LINE_FEATURES + 1, 0.0)))
    else:
        other = always_network(2, 0.0) if name == NETWORK else always(5, 0.0)
        scope = replace(scope, findings={**scope.findings, name: other})
    with pytest.raises(DataError, match=f"'{name}' of the weights takes .* features, but .*; fit it again"):
        predict(plain, scope)


def test_implants_are_fitted_on_what_is_looked_at(plain) -> None:
    wrist = align_wrist(*network_view(plain))
    grey, nearest = (np.nan_to_num(part[WRIST_ROWS], nan=-0.5) for part in (wrist.grey, np.clip(wrist.nearest, -6, 12)))
    planes = planes_of(*(torch.from_numpy(part).float()[None] for part in (grey, nearest)))[0]
    np.testing.assert_allclose(planes.numpy(), FEATURES[NETWORK](wrist), atol=2e-4)


def test_fused_bones_are_named_with_each_other(plain) -> None:
    result = predict(plain, saying(fusion=1.0))
    first = bone_index("Lunate")
    reasons = {limit.reason for limit in result.scope.bones[first]}
    assert "no joint line to the Scaphoid" in reasons and not result.scope.findings
    alone = [bone for bone in range(14) if not any(bone in pair for pair in NEIGHBOURS)]
    assert all(not result.scope.bones[bone] for bone in alone)
    withheld = {JOINTS[joint].bone for joint in np.flatnonzero(result.withheld)}
    assert withheld and withheld.isdisjoint(alone)


def test_masks_of_no_wrist_are_another_projection(plain) -> None:
    image, masks = plain
    result = predict((image, masks[::-1]), saying())
    assert result.scope.findings == ("other projection",) and not result.scored.any()


def test_overlay_and_page_show_what_is_withheld(plain) -> None:
    from jointwrist.viewer.describe import describe_result

    drawn, limited = predict(plain, saying()).plot(), predict(plain, saying(cast=1.0)).plot()
    assert np.any(np.asarray(drawn)[: limited.height] != np.asarray(limited)[: drawn.height])
    assert (
        "Outside the weights' scope (cast): all bones." in describe_result(predict(plain, saying(cast=1.0)))["doubts"]
    )


def test_a_line_between_two_bones_is_seen_and_a_bridge_is_not(plain) -> None:
    wrist = align_wrist(*network_view(plain))
    first, second = NEIGHBOURS[3]
    apart, joined = (wrist._replace(image=image) for image in (wrist.image, np.ones_like(wrist.image)))
    depths = [line_features(joint_line(joint, first, second))[2] for joint in (apart, joined)]
    assert depths[0] > 0.1 and abs(depths[1]) < 0.01
    far = np.full_like(wrist.distances, 99)
    assert joint_line(wrist._replace(distances=far), first, second) is None


def test_features_of_findings_are_higher_where_they_are(plain) -> None:
    wrist = align_wrist(*network_view(plain))
    for option, name, count in (("casts", "cast", 3), ("growth_plates", "growth plate", 5)):
        there = align_wrist(*network_view(phantom(replace(PLAIN, **{option: 1.0}))))
        assert (FEATURES[name](there)[:count] > FEATURES[name](wrist)[:count] + 0.05).all()
    brighter = align_wrist(*network_view((0.6 * plain[0] + 0.2, plain[1])))
    for measure in FEATURES.values():
        np.testing.assert_allclose(measure(brighter), measure(wrist), atol=2e-3)


def test_models_survive_the_description_and_damage_is_refused(tmp_path) -> None:
    entry = saying(cast=2.0).to_dict()
    info = read_description(tmp_path, json.dumps({"model": "jointwrist_tiny", "scope": entry}))
    assert ScopeModel.of(info).to_dict() == entry
    for damage in (3, {}, {**entry, "cast": {}}, {**entry, "cast": {**entry["cast"], "scale": [0.0]}},
                   {**entry, "fusion": {"0": {}}}, {**entry, "fusion": {"first": entry["cast"]}},
                   {**entry, "other": entry["cast"]}, {**entry, "implant": entry["cast"]}, {**entry, "implant": 3},
                   {**entry, "implant": None},
                   {**entry, "cast": entry["implant"]}):  # fmt: skip
        with pytest.raises(DataError, match="scope"):
            read_description(tmp_path, json.dumps({"model": "jointwrist_tiny", "scope": damage}))


def test_a_structured_report_says_why(tmp_path) -> None:
    pytest.importorskip("highdicom")
    from jointwrist.inference.scope.report import COARSE, NOT_SEPARABLE
    from jointwrist.outputs.dicom_sr import LIMITS

    assert set(LIMITS) == {NOT_SEPARABLE, COARSE, *FINDINGS} and len(WRIST.bones) == 14
    assert all(len(value) <= 16 and len(meaning) <= 64 for value, meaning in LIMITS.values())
