"""Narrowing estimated from radiographs of phantoms: regression against sklearn, features by invariants."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import zoom
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from benchmarks import narrowing
from benchmarks.narrowing_features import GAPS, narrowing_features
from jointwrist.data.sample import unpack_masks
from jointwrist.inference.joint_space import SITES, SPACES
from jointwrist.ops.wrist_scale import CARPALS
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.phantom.narrowing import LOST
from jointwrist.phantom.narrowing import SITES as SCORED

KINDS = ("profiles", "gaps", "carpus")


@pytest.fixture(scope="module")
def wrist():
    sample = make_wrist(3, 0, PhantomConfig(size=300))
    return sample.image[0].astype(np.float64), unpack_masks(sample.bones)


def all_features(pixels, masks):
    found = narrowing_features(pixels, masks)
    return {site: found.of(site, KINDS) for site in SITES}


def test_the_regression_and_its_estimates_of_rows_left_out_are_those_of_sklearn():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 60)) * rng.uniform(0.5, 5, 60)
    target = features[:, :5] @ rng.normal(size=5) + rng.normal(size=40)
    model = narrowing.ridge(features, target)
    values = narrowing.standardised(features, model.mean, model.scale)
    found = {}
    for penalty in np.logspace(0, 5, 21):
        left_out = cross_val_predict(Ridge(penalty), values, target, cv=LeaveOneOut())
        found[penalty] = np.mean((left_out - target) ** 2), left_out
    penalty = min(found, key=lambda one: found[one][0])
    np.testing.assert_allclose(model.left_out, found[penalty][1], atol=1e-8)
    np.testing.assert_allclose(model(features), Ridge(penalty).fit(values, target).predict(values), atol=1e-8)
    assert np.isnan(model(np.full((1, 60), np.nan))).all()


def test_a_monotone_fit_leaves_out_the_joint_and_keeps_the_order():
    values = np.tile(np.arange(12.0)[:, None], 6)
    shares = values / 12
    shares[5] = 9.0  # has no part in its own estimate
    found = narrowing.monotone(values, shares)
    np.testing.assert_allclose(found[5], 5 / 12)
    assert (np.diff(found[[0, 1, 2, 3]], axis=0) >= 0).all()


def test_the_width_of_a_phantom_gives_its_score():
    config = PhantomConfig(size=64, narrowing=1.0)
    for index in range(6):
        sample = make_wrist(5, index, config)
        lost = 1 - np.array(sample.width_shares)
        assert sample.narrowing == tuple((lost[:, None] >= LOST).sum(1))


def test_features_do_not_depend_on_grey_window_pixel_size_and_rotation(wrist):
    pixels, masks = wrist
    plain = all_features(pixels, masks)
    grey = all_features(0.3 + 0.5 * pixels, masks)
    finer = all_features(zoom(pixels, 2, order=1, grid_mode=True, mode="nearest"), masks.repeat(2, 1).repeat(2, 2))
    turned = all_features(np.rot90(pixels), np.rot90(masks, axes=(1, 2)))
    for site, values in plain.items():
        np.testing.assert_allclose(grey[site], values, atol=1e-6)
        for other in (finer[site], turned[site]):
            assert np.corrcoef(values, other)[0, 1] > 0.99 and np.abs(values - other).mean() < 0.15


def test_features_are_nan_without_a_carpal_bone_and_a_left_hand_is_taken_as_a_right_one(wrist):
    pixels, masks = wrist
    without = masks.copy()
    without[CARPALS[0]] = False
    assert all(np.isnan(values).all() for values in all_features(pixels, without).values())
    without = masks.copy()
    without[SITES["CMC5"][0][1]] = False  # a metacarpal: only its joints are nan
    found = narrowing_features(pixels, without)
    missing = {pair for pair, row in zip(GAPS, found.gaps, strict=True) if np.isnan(row).any()}
    assert missing == {SITES["CMC5"][0]} and np.isfinite(found.carpus).all()
    np.testing.assert_array_equal(narrowing.as_right(masks[..., ::-1], "L"), masks)


def test_collecting_goes_on_where_it_stopped_and_the_table_knows_the_truth(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(narrowing.PHANTOMS, "plain", ({"narrowing": 0.6}, (96,)))
    once, twice = tmp_path / "once.npz", tmp_path / "twice"  # NumPy would add its ending to a name
    words = ["--seed", "4", "--true"]
    narrowing.main(["collect", str(once), "--wrists", "4", *words])
    narrowing.main(["collect", str(twice), "--wrists", "2", *words])
    narrowing.main(["collect", str(twice), "--wrists", "4", *words])
    first, second = (narrowing.read(path) for path in (once, twice))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
    assert first["true_profiles"].shape[:2] == (4, len(SPACES)) and first["scores"].shape == (4, len(SCORED))
    for other in (["--seed", "5", "--true"], ["--seed", "4"], [*words, "--phantoms", "varied"]):
        with pytest.raises(SystemExit, match="twice: holds phantoms of other options"):
            narrowing.main(["collect", str(twice), "--wrists", "5", *other])
    capsys.readouterr()
    narrowing.main(["table", str(once), str(twice)])
    assert "| width in space | 24 | 1.00 | 0.00 |" in capsys.readouterr().out


def test_a_negative_is_inverted():
    sample = make_wrist(3, 0, PhantomConfig(size=96))
    assert narrowing.bright_bones(sample) is sample
    np.testing.assert_allclose(
        narrowing.bright_bones(replace(sample, image=sample.image.max() + sample.image.min() - sample.image)).image,
        sample.image,
        atol=1e-6,
    )
