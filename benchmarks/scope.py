"""Fit the models of a network's scope on phantoms, and measure what they flag.

    python benchmarks/scope.py WEIGHTS --fit 480 --radiographs FOLDER   # fits the models and writes recipes/scope.json
    python benchmarks/scope.py WEIGHTS --fit 480 --findings implant --radiographs FOLDER   # the same for implants
    python benchmarks/scope.py WEIGHTS --write                          # writes them into the metadata of WEIGHTS
    python benchmarks/scope.py WEIGHTS --radiographs FOLDER             # measures on other phantoms and on radiographs

The radiographs in FOLDER must show nothing outside the scope. They determine only the threshold of each model, which
is above the logits of all of them; to test this, a threshold is also chosen on each half of them and applied to the
other. Models of other findings stay as they are. The tensors of the weight file, and the ONNX program made from them,
do not change. The features of each radiograph are stored under OUT, so that a run can be interrupted and restarted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, rotate
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binomtest
from tqdm import tqdm

from benchmarks.scope_metal import fit_metal, recorded_metal
from jointwrist.commands.options import OldName
from jointwrist.data.load import load_radiograph
from jointwrist.data.polarity import contrast, has_bright_ground
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.resample import resample
from jointwrist.data.sample import as_right_hand
from jointwrist.errors import DataError
from jointwrist.files import write_arrays, write_text
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.scope.aligned_wrist import WRIST_ROWS, align_wrist, in_mean_wrist
from jointwrist.inference.scope.assess import FEATURES, fusion_features
from jointwrist.inference.scope.neighbours import LINE_FEATURES, NEIGHBOURS
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.weights.checkpoint import read_info, write_info
from jointwrist.weights.find import find_weights
from jointwrist.weights.scope_model import FINDINGS, KEY, NETWORK, Logistic, ScopeModel
from jointwrist.weights.small_network import SmallNetwork

#: Phantoms such as the shipped weights were trained on, with erosions of all families.
PLAIN = PhantomConfig(
    size=352,
    prevalence=0.25,
    variation=1.25,
    osteopenia=0.95,
    relief=0.7,
    off_centre=1.7,
    field_of_view=(72.0, 128.0),
    malalignment=6.0,
    families={"all": 1.0},
)
#: Seed and distribution of the phantoms of a fit, and how many of them are made per phantom of `--fit`.
FIT = {
    "mixed": (1001, replace(PLAIN, ankylosis=0.45, implants=0.25, casts=0.22, growth_plates=0.22, narrowing=0.2), 1.0),
    "ordinary": (1003, replace(PLAIN, prevalence=0.35, narrowing=0.4), 1 / 3),
    "turned": (1004, replace(PLAIN, projections=1.0), 1 / 8),
    "metal": (1005, replace(PLAIN, implants=1.0, narrowing=0.3, ankylosis=0.2, casts=0.15), 0.9),
    "dense": (1006, replace(PLAIN, prevalence=0.5, narrowing=0.5, osteopenia=1.0, variation=2.0), 1 / 3),
}
#: Distributions that only one finding needs.
ONLY_FOR = {"turned": "other projection", "metal": "implant", "dense": "implant"}
#: Seed of the phantoms to measure on, on which nothing was fitted or chosen.
TEST_SEED = 3003
#: Each radiograph is used unchanged, rotated by 12° in both directions, darker, blurred, and with noise.
VARIANTS = 6
#: Phantoms to measure on: one finding each; then difficult ones within the scope.
KINDS = {
    "cast": replace(PLAIN, casts=1.0),
    "growth plate": replace(PLAIN, growth_plates=1.0),
    "implant": replace(PLAIN, implants=1.0),
    "other projection": replace(PLAIN, projections=1.0),
    "fusion": replace(PLAIN, ankylosis=1.0),
    "none": PLAIN,
    "none, eroded": replace(PLAIN, prevalence=0.9),
    "none, narrowed": replace(PLAIN, narrowing=1.0),
    "none, thin bone": replace(PLAIN, osteopenia=1.0, variation=2.0),
}
#: Folds of the cross-validation that sets the thresholds; share of the wrists without a finding that lie below the
#: threshold, and of those with it that lie above.
FOLDS, WITHOUT, WITH = 5, 0.995, 0.95
#: Ridge penalties of the models of findings and of joint lines.
RIDGE, LINE_RIDGE = 3.0, 10.0


class Example(NamedTuple):
    """Features and ground truth of a wrist.

    Attributes:
        features: Features by finding, and (pairs, F) of "fusion"; nan where two bones do not meet.
        findings: Findings that the radiograph shows.
        fused: (pairs,) bool, whether each pair of `NEIGHBOURS` is fused.
        metal: (144, 180) float16 attenuation of the metal that a phantom shows; 0 elsewhere.
    """

    features: dict[str, np.ndarray]
    findings: tuple[str, ...]
    fused: np.ndarray
    metal: np.ndarray | None = None


def examples(wrists: int, findings: list[str], predictor: Predictor, folder: Path) -> list[Example]:
    """Return the phantoms of a fit, stored ones from `folder`; those whose bones were not found are left out."""
    found = []
    for name, (seed, config, share_of) in FIT.items():
        if name in ONLY_FOR and ONLY_FOR[name] not in findings:
            continue
        for index in tqdm(range(round(share_of * wrists)), desc=name, disable=None):
            path = folder / name / f"{index:05d}.npz"
            if not path.is_file():
                with recorded_metal() as metal:
                    wrist = as_right_hand(make_wrist(seed, index, config))
                apart = wrist.scope.not_separable
                truth = {
                    "findings": np.array(wrist.scope.findings, np.str_),
                    "fused": np.array([apart[first] and apart[second] for first, second in NEIGHBOURS]),
                }
                write_arrays(path, **features_of(wrist.image[0], predictor, *metal), **truth)
            with np.load(path, allow_pickle=False) as file:
                if "fusion" in file:
                    of_wrist = {key: file[key] for key in (*FINDINGS, "fusion")}
                    found.append(Example(of_wrist, tuple(file["findings"].tolist()), file["fused"], file["metal"]))
    return found


def features_of(pixels: np.ndarray, predictor: Predictor, metal: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the features of a right wrist's pixels by finding; empty if its bones were not found.

    Args:
        pixels: (H, W) float32 grey.
        predictor: Finds the bones.
        metal: (H, W) float32 attenuation of the metal that the pixels show, which is returned aligned as "metal".
    """
    pixels = 1 - pixels if has_bright_ground(pixels) else pixels
    image = predictor.inputs([Placement(Radiograph(pixels, side="R"))])
    logits = predictor.network.segment(predictor.images(image)[0]) - np.float32(predictor.mask_logit)
    wrist = align_wrist(image[0, 0], logits)
    bright = contrast(resample(image[0, 0], logits.shape[1:]), logits > 0)
    if wrist is None or bright < 0:  # no wrist, or a negative, which prediction inverts
        return {}
    lines = np.full((len(NEIGHBOURS), LINE_FEATURES), np.nan)
    for pair in range(len(NEIGHBOURS)):
        line = fusion_features(wrist, pair)
        lines[pair] = np.nan if line is None else line
    shown = np.zeros_like(wrist.grey)
    if metal is not None:
        shown = np.nan_to_num(in_mean_wrist(metal, wrist.to_pixels, len(metal) / len(wrist.distances[0])))
    features = {name: measure(wrist) for name, measure in FEATURES.items()}
    return {**features, "fusion": lines, "metal": shown[WRIST_ROWS].astype(np.float16)}


def ridge(values: np.ndarray, there: np.ndarray, penalty: float) -> Logistic:
    """Fit a logistic regression with balanced class weights to (N, F) features; its threshold is 0."""
    mean, scale = values.mean(0), values.std(0) + 1e-6
    weight = np.where(there, 0.5 / there.mean(), 0.5 / (1 - there.mean()))
    values = np.clip((values - mean) / scale, -3, 3)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        logits = values @ weights + bias
        error = (expit(logits) - there) * weight
        total = (weight * (np.logaddexp(0, logits) - there * logits)).sum() + penalty * (weights**2).sum() / 2
        return float(total), np.append(values.T @ error + penalty * weights, error.sum())

    found = minimize(loss, np.zeros(values.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return Logistic(mean, scale, found[:-1], float(found[-1]), 0.0)


def cross_validated(values: np.ndarray, there: np.ndarray, penalty: float) -> np.ndarray:
    """Return out-of-fold logits."""
    logits, folds = np.zeros(len(there)), np.arange(len(there)) % FOLDS
    for fold in range(FOLDS):
        held = folds == fold
        logits[held] = ridge(values[~held], there[~held], penalty)(values[held])
    return logits


def threshold(without: np.ndarray, radiographs: np.ndarray, having: np.ndarray) -> float:
    """Choose a threshold above the logits of all radiographs and of nearly all wrists without a finding.

    If the logits of the wrists with the finding leave a gap, the threshold is in its middle.
    """
    low = max(float(np.quantile(without, WITHOUT)), *radiographs.tolist())
    return max(low, (low + float(np.quantile(having, 1 - WITH))) / 2)


def fit_finding(name: str, kept: list[Example], radiographs: list[Example]) -> Logistic | SmallNetwork:
    """Fit the model of a finding; its threshold is chosen on wrists that are not fitted, and on radiographs."""
    there, ordinary = (
        np.array(flags) for flags in zip(*((name in x.findings, not x.findings) for x in kept), strict=True)
    )
    if name == NETWORK:
        held = np.arange(len(kept)) % FOLDS == 0
        model = fit_network([one for one, out in zip(kept, held, strict=True) if not out])
        kept, there, ordinary = [kept[index] for index in np.flatnonzero(held)], there[held], ordinary[held]
        logits = np.array([model(one.features[name]) for one in kept])
    else:
        values = np.stack([one.features[name] for one in kept])
        logits, model = cross_validated(values, there, RIDGE), ridge(values, there, RIDGE)
    on_radiographs = np.array([float(model(one.features[name])) for one in radiographs]).reshape(-1, VARIANTS)
    limit = threshold(logits[ordinary], on_radiographs.ravel(), logits[there])
    print(
        f"{name}: {share(logits[there] > limit)} with it, {share(logits[ordinary] > limit)} without any finding,"
        f" {share(logits[~there & ~ordinary] > limit)} with others (wrists that were not fitted)"
    )
    for half in range(min(2, len(radiographs))):
        of_half = threshold(logits[ordinary], on_radiographs[half::2].ravel(), logits[there])
        others = share((on_radiographs[1 - half :: 2] > of_half).any(1))
        print(f"  threshold of half of the radiographs, {of_half:.2f}: {others} of the other half")
    print(f"  threshold {limit:.2f}; radiographs {np.sort(on_radiographs.max(1)).round(2)}")
    return replace(model, threshold=limit)


def fit_network(kept: list[Example]) -> SmallNetwork:
    """Fit the network of implants."""
    without = np.stack([one.features[NETWORK] for one in kept if NETWORK not in one.findings])
    drawn = [one for one in kept if NETWORK in one.findings]
    return fit_metal(
        without, np.stack([one.features[NETWORK] for one in drawn]), np.stack([one.metal for one in drawn])
    )


def fit_fusion(kept: list[Example], radiographs: list[Example]) -> dict[int, Logistic]:
    """Fit the models of the joint lines, without wrists in other projections."""
    kept = [one for one in kept if "other projection" not in one.findings]
    fused, models = np.array([one.fused for one in kept]), {}
    called = np.zeros(len(kept), bool)
    for pair in np.flatnonzero(fused.sum(0) >= 2 * FOLDS):
        values = np.array([one.features["fusion"][pair] for one in kept])
        met = np.isfinite(values[:, 0])
        there = fused[met, pair]
        logits, model = cross_validated(values[met], there, LINE_RIDGE), ridge(values[met], there, LINE_RIDGE)
        on_radiographs = np.array([float(model(one.features["fusion"][pair])) for one in radiographs])
        on_radiographs = on_radiographs[np.isfinite(on_radiographs)]
        limit = threshold(logits[~fused.any(1)[met]], on_radiographs, logits[there])
        models[int(pair)] = replace(model, threshold=limit)
        called[met] |= logits > limit
    print(f"fusion: {share(called[fused.any(1)])} with it, {share(called[~fused.any(1)])} without (cross-validation)")
    return models


def share(flags: np.ndarray) -> str:
    """Return a count with its share and 95 % interval (Clopper and Pearson)."""
    if not len(flags):
        return "0 of 0"
    found, total = int(np.sum(flags)), len(flags)
    low, high = binomtest(found, total).proportion_ci()
    return f"{found} of {total} ({found / total:.0%} [{low:.0%}, {high:.0%}])"


def measure(predictor: Predictor, kinds: list[str], wrists: int) -> None:
    """Print how many phantoms of each kind `jointwrist predict` flags, or refuses for showing no wrist."""
    for kind in kinds:
        flagged, named, refused = [], [], 0
        for index in tqdm(range(wrists), desc=kind, disable=None):
            wrist = as_right_hand(make_wrist(TEST_SEED, index, KINDS[kind]))
            try:
                scope = predictor(wrist.image[0], side="R").single().scope
            except DataError:
                refused += 1
                continue
            flagged.append(any(scope.bones))
            named.append("fusion" in kind if not scope.findings and any(scope.bones) else kind in scope.findings)
        print(f"{kind}: flagged {share(np.array(flagged))}, by its name {sum(named)}, refused {refused}", flush=True)


def examples_of(folder: Path, predictor: Predictor, stored: Path) -> Iterator[Example]:
    """Yield the radiographs of a folder as examples without a finding, in `VARIANTS` variants each."""
    for path in tqdm(sorted(folder.glob("*.png")), desc="radiographs", disable=None):
        radiograph = load_radiograph(path)
        pixels = radiograph.pixels[:, ::-1] if radiograph.side == "L" else radiograph.pixels
        low, high = float(pixels.min()), float(pixels.max())
        pixels = (pixels - low) / (high - low)
        noise = np.random.default_rng(0).normal(0, 0.04, pixels.shape)
        rotated = [rotate(pixels, angle, reshape=False, order=1, mode="nearest") for angle in (-12, 12)]
        for number, variant in enumerate((pixels, *rotated, pixels**1.4, gaussian_filter(pixels, 1.5), pixels + noise)):
            kept = stored / f"{path.stem}-{number}.npz"
            if not kept.is_file():
                write_arrays(kept, **features_of(np.ascontiguousarray(variant, np.float32), predictor))
            with np.load(kept, allow_pickle=False) as file:
                yield Example({key: file[key] for key in (*FINDINGS, "fusion")}, (), np.zeros(len(NEIGHBOURS), bool))


def scope_lines(predictor: Predictor, folder: Path) -> Iterator[str]:
    """Describe the scope of each radiograph of a folder: findings, and each model's logit minus its threshold."""
    for path in sorted(folder.glob("*.png")):
        for result in predictor(path):
            values = ", ".join(f"{name} {value:+.2f}" for name, value in result.scope.logits.items())
            yield f"{path.name}: {'; '.join(result.scope.sentences(result.anatomy)) or 'in scope'} ({values})"


def main() -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--fit", type=int, metavar="N", help="fit the models on N phantoms, and write them into MODELS")
    parser.add_argument(
        "--findings", nargs="+", choices=(*FINDINGS, "fusion"), default=["cast", "growth plate"],
        help="findings to fit models for (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="write MODELS into the weight file's metadata")
    parser.add_argument(
        "--models", type=Path, default=Path("recipes/scope.json"), help="file of the models (default: %(default)s)"
    )
    parser.add_argument(
        "--test", type=int, default=50, metavar="N", help="phantoms of each kind to measure on (default: %(default)s)"
    )
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="default: all")
    parser.add_argument("--radiographs", type=Path, metavar="FOLDER", help="PNG radiographs without a finding")
    parser.add_argument("--films", dest="radiographs", type=Path, action=OldName, new="--radiographs")
    parser.add_argument("--out", type=Path, default=Path("results/scope"), help="default: %(default)s")
    arguments = parser.parse_args()
    path = find_weights(arguments.weights)
    if arguments.fit:
        predictor = Predictor.from_pretrained(path)
        kept = examples(arguments.fit, arguments.findings, predictor, arguments.out)
        folder = arguments.radiographs
        radiographs = list(examples_of(folder, predictor, arguments.out / "radiographs")) if folder else []
        findings = {name: fit_finding(name, kept, radiographs) for name in FINDINGS if name in arguments.findings}
        models = ScopeModel(findings, fit_fusion(kept, radiographs) if "fusion" in arguments.findings else {})
        before = json.loads(arguments.models.read_text(encoding="utf-8")) if arguments.models.is_file() else {}
        write_text(arguments.models, json.dumps(before | models.to_dict()) + "\n")
    if arguments.write:
        write_info(path, {**read_info(path), KEY: json.loads(arguments.models.read_text(encoding="utf-8"))})
    if arguments.fit or arguments.write:
        return
    predictor = Predictor.from_pretrained(path, engine="auto")
    if arguments.radiographs:
        print(*scope_lines(predictor, arguments.radiographs), sep="\n")
    measure(predictor, arguments.kinds, arguments.test)


if __name__ == "__main__":
    main()
