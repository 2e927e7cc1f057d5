"""Fit the models of a network's scope on phantoms, and measure what they flag.

    python benchmarks/scope.py WEIGHTS --fit 480          # fits the models on phantoms, and writes recipes/scope.json
    python benchmarks/scope.py WEIGHTS --write            # writes these models into the description of WEIGHTS
    python benchmarks/scope.py WEIGHTS --films FOLDER     # measures on other phantoms and on films

The tensors of the weight file, and the ONNX program made from them, are unchanged. Signs of each phantom are kept under
OUT, so that a run can be interrupted and restarted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from tqdm import tqdm

from jointwrist.data.polarity import contrast, has_bright_ground
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import Scope, as_right_hand
from jointwrist.errors import DataError
from jointwrist.files import atomic, write_text
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.scope.judge import film_line_signs, film_of, film_signs
from jointwrist.inference.scope.neighbours import LINE_SIGNS, NEIGHBOURS
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.weights.checkpoint import read_info, write_info
from jointwrist.weights.find import find_weights
from jointwrist.weights.scope_model import FINDINGS, KEY, Logistic, ScopeModel

#: Phantoms as those that the shipped weights have learned, with erosions of all families.
PLAIN = PhantomConfig(
    size=256,
    prevalence=0.25,
    variation=1.25,
    osteopenia=0.95,
    relief=0.7,
    off_centre=1.7,
    field_of_view=(72.0, 128.0),
    malalignment=6.0,
    families={"all": 1.0},
)
#: For training, findings together; every eighth wrist in another projection.
MIXED = replace(PLAIN, ankylosis=0.4, implants=0.22, casts=0.22, growth_plates=0.22)
TURNED = replace(PLAIN, projections=1.0)
#: For measuring, one at a time.
KINDS = {
    "none": PLAIN,
    "fused": replace(PLAIN, ankylosis=1.0),
    "implant": replace(PLAIN, implants=1.0),
    "cast": replace(PLAIN, casts=1.0),
    "growth plate": replace(PLAIN, growth_plates=1.0),
    "other projection": TURNED,
}
FIT_SEED, TEST_SEED = 1001, 2002
#: Folds of the cross-validation that sets the thresholds, and the share of wrists without a finding above one.
FOLDS, FALSE_SHARE = 5, 0.004
#: Ridge penalties of the findings and of the joint lines.
RIDGE, LINE_RIDGE = 1.0, 10.0


class Example(NamedTuple):
    """Signs and ground truth of a phantom.

    Attributes:
        signs: Of each finding by name.
        lines: (`len(NEIGHBOURS)`, `LINE_SIGNS`) of the joint lines; nan where two bones do not meet.
        findings: Those that are there.
        fused: (`len(NEIGHBOURS)`,) bool.
    """

    signs: dict[str, np.ndarray]
    lines: np.ndarray
    findings: tuple[str, ...]
    fused: np.ndarray


def example(index: int, predictor: Predictor, kept: Path) -> Example | None:
    """Return one phantom of the fit, from OUT where it is kept; None where its bones cannot be placed."""
    path = kept / f"{index:05d}.npz"
    if not path.is_file():
        turned = index % 8 == 7
        wrist = as_right_hand(make_wrist(FIT_SEED, index, TURNED if turned else MIXED))
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **_signs(wrist.image[0], wrist.scope, predictor))
    with np.load(path, allow_pickle=False) as file:
        if "lines" not in file:
            return None
        signs = {name: file[name] for name in FINDINGS}
        return Example(signs, file["lines"], tuple(file["findings"].tolist()), file["fused"])


def _signs(pixels: np.ndarray, truth: Scope, predictor: Predictor) -> dict[str, np.ndarray]:
    pixels = 1 - pixels if has_bright_ground(pixels) else pixels
    image = predictor.inputs([Placement(Radiograph(pixels, side="R"))])
    masks = predictor.network.segment(predictor.images(image)[0]) > predictor.mask_logit
    film = film_of(image[0, 0], masks)
    if film is None or contrast(film.grey, masks) < 0:  # no wrist, or a negative, which prediction inverts
        return {}
    lines = np.full((len(NEIGHBOURS), LINE_SIGNS), np.nan)
    for pair, signs in film_line_signs(film).items():
        lines[pair] = signs
    fused = np.array([truth.not_separable[first] and truth.not_separable[second] for first, second in NEIGHBOURS])
    return {**film_signs(film)[0], "lines": lines, "findings": np.array(truth.findings, np.str_), "fused": fused}


def ridge(signs: np.ndarray, there: np.ndarray, penalty: float) -> Logistic:
    """Fit a logistic regression with balanced class weights; its threshold is 0."""
    mean, scale = signs.mean(0), signs.std(0) + 1e-6
    weight = np.where(there, 0.5 / there.mean(), 0.5 / (1 - there.mean()))
    values = np.clip((signs - mean) / scale, -3, 3)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        logits = values @ weights + bias
        error = (expit(logits) - there) * weight
        total = (weight * (np.logaddexp(0, logits) - there * logits)).sum() + penalty * (weights**2).sum() / 2
        return float(total), np.append(values.T @ error + penalty * weights, error.sum())

    found = minimize(loss, np.zeros(signs.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return Logistic(mean, scale, found[:-1], float(found[-1]), 0.0)


def cross_validated(signs: np.ndarray, there: np.ndarray, groups: np.ndarray, penalty: float) -> np.ndarray:
    """Return out-of-fold logits."""
    logits = np.zeros(len(there))
    for fold in range(FOLDS):
        held = groups % FOLDS == fold
        logits[held] = ridge(signs[~held], there[~held], penalty)(signs[held])
    return logits


def threshold(negative: np.ndarray, positive: np.ndarray) -> float:
    """Return the logit that nine of ten wrists with a finding exceed, and at most `FALSE_SHARE` of those without."""
    return max(float(np.quantile(negative, 1 - FALSE_SHARE)), float(np.quantile(positive, 0.1)))


def fit_models(examples: dict[int, Example]) -> ScopeModel:
    """Fit all models; their thresholds are chosen in a cross-validation."""
    groups, kept = np.array(list(examples)), list(examples.values())
    findings = {}
    for name in FINDINGS:
        signs, there = np.stack([one.signs[name] for one in kept]), np.array([name in one.findings for one in kept])
        logits = cross_validated(signs, there, groups, RIDGE)
        limit = threshold(logits[~there], logits[there])
        report(name, logits[there], logits[~there], limit)
        findings[name] = replace(ridge(signs, there, RIDGE), threshold=limit)
    # two bones may meet in one wrist and not in another; other projections say nothing of joint lines
    rows = [
        (group, place, one)
        for place, (group, one) in enumerate(zip(groups, kept, strict=True))
        if "other projection" not in one.findings
    ]
    met = [np.isfinite(one.lines[:, 0]) for _, _, one in rows]
    signs = np.concatenate([one.lines[there] for (_, _, one), there in zip(rows, met, strict=True)])
    fused = np.concatenate([one.fused[there] for (_, _, one), there in zip(rows, met, strict=True)])
    wrist = np.concatenate([np.full(there.sum(), group) for (group, _, _), there in zip(rows, met, strict=True)])
    logits = cross_validated(signs, fused, wrist, LINE_RIDGE)
    highest = np.array([logits[wrist == group].max() for group in np.unique(wrist)])
    with_fusion = np.array([fused[wrist == group].any() for group in np.unique(wrist)])
    limit = threshold(highest[~with_fusion], highest[with_fusion])
    report("fusion", highest[with_fusion], highest[~with_fusion], limit)
    return ScopeModel(findings, replace(ridge(signs, fused, LINE_RIDGE), threshold=limit))


def report(name: str, positive: np.ndarray, negative: np.ndarray, limit: float) -> None:
    """Print the performance of a threshold in the cross-validation."""
    print(
        f"{name}: {np.mean(positive > limit):.1%} of {len(positive)} with it,"
        f" {np.mean(negative > limit):.2%} of {len(negative)} without (cross-validation)"
    )


def measure(predictor: Predictor, wrists: int) -> None:
    """Print how many phantoms of each kind `jointwrist predict` flags, or refuses for showing no wrist."""
    for kind, config in KINDS.items():
        flagged = named = refused = 0
        for index in tqdm(range(wrists), desc=kind, disable=None):
            wrist = as_right_hand(make_wrist(TEST_SEED, index, config))
            try:
                scope = predictor(wrist.image[0], side="R").single().scope
            except DataError:
                refused += 1
                continue
            fused = any(limit.status == "not separable" for limits in scope.bones for limit in limits)
            flagged += bool(scope.findings) or fused
            named += fused if kind == "fused" else kind in scope.findings
        print(f"{kind}: flagged {flagged}, of them by its name {named}, refused {refused}, of {wrists}", flush=True)


def films(predictor: Predictor, folder: Path) -> Iterator[str]:
    """Yield, for each radiograph of a folder, by how much every model stays below its threshold."""
    for path in sorted(folder.glob("*.png")):
        for result in predictor(path):
            values = ", ".join(f"{name} {value:+.2f}" for name, value in result.scope.logits.items())
            yield f"{path.name}: {'; '.join(result.scope.sentences(result.anatomy)) or 'in scope'} ({values})"


def main() -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--fit", type=int, metavar="N", help="fit the models on N phantoms, and write MODELS")
    parser.add_argument("--write", action="store_true", help="write MODELS into the weight file")
    parser.add_argument(
        "--models", type=Path, default=Path("recipes/scope.json"), help="file of the models (default: %(default)s)"
    )
    parser.add_argument(
        "--test", type=int, default=50, metavar="N", help="phantoms of each kind, to measure on (default: %(default)s)"
    )
    parser.add_argument("--films", type=Path, metavar="FOLDER", help="also judge the PNG radiographs of a folder")
    parser.add_argument("--out", type=Path, default=Path("results/scope"), help="default: %(default)s")
    arguments = parser.parse_args()
    path = find_weights(arguments.weights)
    if arguments.fit:
        predictor = Predictor.from_pretrained(path)
        arguments.out.mkdir(parents=True, exist_ok=True)
        found = {
            index: one
            for index in tqdm(range(arguments.fit), disable=None)
            if (one := example(index, predictor, arguments.out)) is not None
        }
        write_text(arguments.models, json.dumps(fit_models(found).to_dict()) + "\n")
    if arguments.write:
        write_info(path, {**read_info(path), KEY: json.loads(arguments.models.read_text(encoding="utf-8"))})
    if arguments.fit or arguments.write:
        return
    predictor = Predictor.from_pretrained(path, engine="auto")
    if arguments.films:
        print(*films(predictor, arguments.films), sep="\n")
    measure(predictor, arguments.test)


if __name__ == "__main__":
    main()
