"""How well the narrowing score of phantoms can be told from their radiographs, by simple rules and by a regression.

The width in space, of which the score is made, is estimated from outlines alone, from outlines that were moved to edges
of the radiograph, and by a ridge regression on outlines and grey values (`benchmarks/narrowing_features.py`).

    python benchmarks/narrowing.py collect fit.npz --phantoms varied --wrists 1250 --seed 7100
    python benchmarks/narrowing.py collect test.npz --phantoms other_pose --wrists 160 --seed 9292
    python benchmarks/narrowing.py table fit.npz test.npz

`collect` goes on where it was stopped. With the same file twice, `table` estimates each wrist from all others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.narrowing_features import GAPS, NarrowingFeatures, narrowing_features
from jointwrist.benchmark.tables.table import markdown_lines
from jointwrist.commands.options import seed_number
from jointwrist.data.polarity import contrast
from jointwrist.data.sample import WristSample, unpack_masks
from jointwrist.files import write_arrays
from jointwrist.inference.joint_space import SITES, SPACES, joint_space
from jointwrist.metrics.ordinal import ordinal_figures
from jointwrist.ops.wrist_scale import pixel_mm_of
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.phantom.narrowing import LOST, NORMAL_MM
from jointwrist.phantom.narrowing import SITES as SCORED

_VARIED = {"narrowing": 0.6, "variation": 1.25, "relief": 0.7, "osteopenia": 0.95, "prevalence": 0.2}
#: Distributions of phantoms, and sides in pixels, in turn: the default one; one as varied as the training data of the
#: shipped weights; and one in which bones and hands lie more differently.
PHANTOMS: dict[str, tuple[dict[str, float], tuple[int, ...]]] = {
    "plain": ({"narrowing": 0.6, "ankylosis": 0.1}, (512,)),
    "varied": ({**_VARIED, "ankylosis": 0.05, "malalignment": 3.0}, (384, 448, 512, 576, 640)),
    "other_pose": ({**_VARIED, "ankylosis": 0.1, "malalignment": 6.0, "off_centre": 1.5}, (600,)),
}
MASKS = ("true", "predicted")
#: Pair of bones of each site between which the phantom measures the width, and its normal width.
_PAIRS = [GAPS.index(SITES[site][0]) for site in SCORED]
_NORMAL = np.array(list(NORMAL_MM.values()))
_FUSED, _EVERY = 4, 50
#: Standardised features are clipped at this value.
_CLIP = 3.0

Arrays = dict[str, np.ndarray]


class Ridge(NamedTuple):
    """A ridge regression on standardised features.

    Attributes:
        mean: (F,) of the features, which takes the place of missing ones.
        scale: (F,) divisors of the features.
        weights: (F,) of the standardised features.
        bias: Mean of the target.
        left_out: (N,) estimate of each row of the fit from all others.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    left_out: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the (N,) estimates of (N, F) features, nan where all are missing."""
        found = self.bias + standardised(features, self.mean, self.scale) @ self.weights
        return np.where(np.isfinite(features).any(1), found, np.nan)


def main(argv: list[str] | None = None) -> None:
    """Collect features, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    collecting = commands.add_parser("collect", help="make phantoms and compute their features")
    collecting.add_argument("file", type=Path, help="NumPy file")
    collecting.add_argument("--phantoms", choices=PHANTOMS, default="plain", help="default: %(default)s")
    collecting.add_argument("--wrists", type=int, default=160, metavar="N", help="default: %(default)s")
    collecting.add_argument("--seed", type=seed_number, default=9191, help="default: %(default)s")
    collecting.add_argument("--true", action="store_true", help="features of true masks only, without a network")
    table = commands.add_parser("table", help="print how well scores and widths are estimated")
    table.add_argument("fit", type=Path, help="file of the phantoms that the regression is fitted to")
    table.add_argument("test", type=Path, help="file of the phantoms that are estimated")
    given = parser.parse_args(argv)
    if given.command == "collect":
        collect(given.file, given.phantoms, given.wrists, given.seed, given.true)
    else:
        print(score_table(read(given.fit), None if given.test == given.fit else read(given.test)))


def read(path: Path) -> Arrays:
    """Read the arrays of `collect`."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def collect(path: Path, phantoms: str, wrists: int, seed: int, true_only: bool) -> None:
    """Write scores, widths and features of phantoms.

    The file has `phantoms` and `seed` (N,) as given; `scores` and `shares` (N, 6), the widths relative to normal ones,
    by site of the phantom; `<masks>_profiles`, `<masks>_gaps` and `<masks>_carpus` of `NarrowingFeatures`, nan where a
    carpal bone is missing; and `edges` (N, 6), the gaps between predicted outlines that were moved to edges, in mm of a
    mean wrist.

    Args:
        path: File; wrists that it has already are kept.
        phantoms: One of `PHANTOMS`.
        wrists: Number of phantoms.
        seed: Their seed.
        true_only: Leave out what needs predicted masks.

    Raises:
        SystemExit: The file holds phantoms of other options.
    """
    config, sizes = PHANTOMS[phantoms]
    stored = read(path) if path.exists() else {}
    rows = [dict(zip(stored, values, strict=True)) for values in zip(*stored.values(), strict=True)]
    made = {"phantoms": phantoms, "seed": seed}
    if rows and (("edges" in stored) == true_only or any(rows[0].get(name) != value for name, value in made.items())):
        raise SystemExit(f"{path}: holds phantoms of other options; give the same ones, or another file")
    predict = None if true_only else predictor()
    for index in range(len(rows), wrists):
        wrist = bright_bones(make_wrist(seed, index, PhantomConfig(size=sizes[index % len(sizes)], **config)))
        row = {name: np.array(value) for name, value in made.items()}
        row |= {"scores": np.array(wrist.narrowing), "shares": np.array(wrist.width_shares)}
        row |= mask_arrays(wrist, unpack_masks(wrist.bones), "true")
        if predict is not None:
            masks = predict(wrist)
            row |= {**mask_arrays(wrist, masks, "predicted"), "edges": edge_gaps(wrist, masks)}
        rows.append(row)
        if (index + 1) % _EVERY == 0 or index + 1 == wrists:
            print(f"{index + 1} of {wrists}", file=sys.stderr, flush=True)
            write_arrays(path, **{name: np.stack([row[name] for row in rows]) for name in row})


def bright_bones(wrist: WristSample) -> WristSample:
    """Return a phantom with bright bones, inverted if it is a negative, as when a radiograph is read."""
    image = wrist.image
    negative = contrast(image[0], unpack_masks(wrist.bones)) < 0
    return replace(wrist, image=image.max() + image.min() - image) if negative else wrist


def predictor() -> Callable[[WristSample], np.ndarray]:
    """Return what predicts the masks of a phantom with the shipped weights."""
    from jointwrist import Predictor
    from jointwrist.data.radiograph import Radiograph
    from jointwrist.inference.placement import Placement

    network = Predictor.from_pretrained("jointwrist_tiny")
    return lambda wrist: (
        network.predict([Placement(Radiograph(wrist.image[0], spacing_mm=wrist.spacing_mm, side=wrist.side))])[0].masks
    )


def mask_arrays(wrist: WristSample, masks: np.ndarray, kind: str) -> Arrays:
    """Return the features of a phantom with (14, H, W) masks, named by their kind."""
    found = narrowing_features(as_right(wrist.image[0], wrist.side), as_right(masks, wrist.side))
    profiles = np.stack([found.profiles[pair] for pair in SPACES])
    return {f"{kind}_profiles": profiles, f"{kind}_gaps": found.gaps, f"{kind}_carpus": found.carpus}


def edge_gaps(wrist: WristSample, masks: np.ndarray) -> np.ndarray:
    """Return the (6,) mean gaps between outlines that were moved to edges, in mm of a mean wrist."""
    pairs = [masks[list(SITES[site][0])] for site in SCORED]
    spaces = [joint_space(*pair, pixel_mm_of(masks), wrist.image[0]) for pair in pairs]
    return np.array([np.nan if space is None else space.mean_at_edges for space in spaces])


def as_right(plane: np.ndarray, side: str) -> np.ndarray:
    """Return (..., H, W) values of a hand as those of a right one."""
    return np.ascontiguousarray(plane[..., ::-1]) if side == "L" else plane


def score_table(fit: Arrays, test: Arrays | None) -> str:
    """Return how well several estimates of the width agree with the phantom's width and score.

    Args:
        fit: Phantoms that the regression is fitted to.
        test: Phantoms that are estimated; None takes those of the fit, each from all others.
    """
    wrists = fit if test is None else test
    masks = [kind for kind in MASKS if f"{kind}_gaps" in wrists and f"{kind}_gaps" in fit]
    others = (wrists["shares"].sum(0) - wrists["shares"]) / (len(wrists["shares"]) - 1)
    rows = [figures("width in space", wrists, wrists["shares"]), figures("mean of all other wrists", wrists, others)]
    for kind in masks:
        gaps = wrists[f"{kind}_gaps"][:, _PAIRS]
        rows.append(figures(f"mean gap, {kind} masks, against normal widths", wrists, gaps[..., 0] / _NORMAL))
        for place, name in ((0, "mean"), (2, "widest")):
            estimates = monotone(gaps[..., place], wrists["shares"])
            rows.append(figures(f"monotone fit to the {name} gap, {kind} masks", wrists, estimates))
    if "edges" in wrists and np.isfinite(wrists["edges"]).any():
        estimates = monotone(wrists["edges"], wrists["shares"])
        rows.append(figures("monotone fit to the mean gap at edges near predicted masks", wrists, estimates))
    for kind in masks:
        for parts in (("own",), ("profiles",), ("profiles", "gaps", "carpus")):
            estimates = np.empty(wrists["shares"].shape)
            for place, site in enumerate(SCORED):
                model = ridge(site_features(fit, kind, site, parts), fit["shares"][:, place])
                estimates[:, place] = model.left_out if test is None else model(site_features(test, kind, site, parts))
            rows.append(figures(f"regression on {', '.join(parts)}, {kind} masks", wrists, estimates))
    heads = ["width relative to the normal one, from", "joints", "QWK", "mean error, mm", *SCORED]
    return "\n".join(markdown_lines(heads, rows))


def site_features(wrists: Arrays, masks: str, site: str, parts: tuple[str, ...]) -> np.ndarray:
    """Return the (N, F) features of a site; see `NarrowingFeatures.of`."""
    arrays = (wrists[f"{masks}_{name}"] for name in ("profiles", "gaps", "carpus"))
    return np.array(
        [
            NarrowingFeatures(dict(zip(SPACES, profiles, strict=True)), gaps, carpus).of(site, parts)
            for profiles, gaps, carpus in zip(*arrays, strict=True)
        ]
    )


def standardised(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return (..., F) standardised and clipped features, 0 where they are missing."""
    return np.clip(np.nan_to_num((features - mean) / scale), -_CLIP, _CLIP)


def ridge(features: np.ndarray, target: np.ndarray) -> Ridge:
    """Fit a ridge regression whose penalty gives the smallest error when each row is left out in turn.

    Args:
        features: (N, F), nan where missing.
        target: (N,).
    """
    mean, scale = np.nanmean(features, 0), np.maximum(np.nanstd(features, 0), 1e-6)
    values, bias = standardised(features, mean, scale), float(target.mean())
    centre = values.mean(0)
    left, singular, right = np.linalg.svd(values - centre, full_matrices=False)
    parts = left.T @ (target - bias)
    found = []
    for penalty in np.logspace(0, 5, 21):
        kept = singular**2 / (singular**2 + penalty)
        errors = (target - bias - left @ (kept * parts)) / (1 - 1 / len(target) - left**2 @ kept)
        found.append((float(np.mean(errors**2)), penalty, errors))
    _, penalty, errors = min(found, key=lambda one: one[0])
    weights = right.T @ (singular / (singular**2 + penalty) * parts)
    return Ridge(mean, scale, weights, bias - float(centre @ weights), target - errors)


def monotone(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the (N, 6) widths by a monotone fit (isotonic regression) to the same site of all other wrists."""
    found = np.full(values.shape, np.nan)
    for place, (value, share) in enumerate(zip(values.T, shares.T, strict=True)):
        known = np.flatnonzero(np.isfinite(value))
        for one in known:
            others = known[known != one]
            others = others[np.argsort(value[others])]
            found[one, place] = np.interp(value[one], value[others], isotonic_regression(share[others]).x)
    return found


def figures(name: str, wrists: Arrays, shares: np.ndarray) -> tuple[str, ...]:
    """Return a row of the table, of joints that are not fused.

    Args:
        name: First cell.
        wrists: Truth.
        shares: (N, 6) estimated widths relative to the normal ones; the phantom's thresholds turn them into scores.

    Returns:
        Name, joints, quadratic weighted kappa, mean error of the width in mm in a wrist of mean size, and the kappa of
        each site.
    """
    known = np.isfinite(shares) & (wrists["scores"] < _FUSED)
    levels = (1 - shares[..., None] >= LOST).sum(-1)
    errors = np.abs(shares - wrists["shares"]) * _NORMAL
    kappas = _kappas(wrists["scores"], levels, known)
    return (
        name,
        str(known.sum()),
        f"{kappas[0]:.2f}",
        f"{errors[known].mean():.2f}",
        *(f"{k:.2f}" for k in kappas[1:]),
    )


def _kappas(scores: np.ndarray, levels: np.ndarray, known: np.ndarray) -> list[float]:
    """Return the quadratic weighted kappa of all joints, and of each site."""
    chosen = [known, *(known & (np.arange(known.shape[1]) == place) for place in range(known.shape[1]))]
    return [float(ordinal_figures(scores[k], levels[k], levels[k] / _FUSED)["QWK"][0]) for k in chosen]


if __name__ == "__main__":
    main()
