"""Errors of joint-space widths and of their changes, on phantoms with two radiographs each.

The true width is measured on true masks, with `--fine` on pixels a third as large. The true change is the narrowing of
the phantom; the second radiograph differs in placement, exposure and imaging style.

    python benchmarks/joint_spaces.py --wrists 12 --predicted
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.narrowing import bright_bones
from jointwrist.benchmark.tables.table import markdown_lines
from jointwrist.commands.options import seed_number
from jointwrist.data.sample import WristSample, unpack_masks
from jointwrist.files import write_text
from jointwrist.inference.followup.registration import Similarity, register
from jointwrist.inference.joint_space import SITES, joint_space
from jointwrist.inference.space_change import bone_motions, joint_space_change, space_change
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.phantom.visit import Visit

CONFIG = PhantomConfig(prevalence=0, cyst_rate=0, notch_rate=0, osteophyte_rate=0)
FINER = 3
#: Share of the joints that are narrowed, by up to this many mm.
NARROWED, MOST = 0.5, 1.0
#: The pair of bones of a site whose true change is known.
PAIRS = {site: pairs[0] for site, pairs in SITES.items()}


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrists", type=int, default=12, metavar="N", help="phantoms (default: %(default)s)")
    parser.add_argument("--seed", type=seed_number, default=11, help="seed of the phantoms (default: %(default)s)")
    parser.add_argument(
        "--tilt", type=float, default=0.0, metavar="DEG", help="SD of tilt and pronation between visits"
    )
    parser.add_argument("--predicted", action="store_true", help="measure predicted masks, too")
    parser.add_argument("--fine", action="store_true", help="measure the widths against masks on finer pixels")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="file of the errors so far, to go on after a stop")
    parser.add_argument("--gaps", type=Path, metavar="DIR", help="folder of the joint phantoms of Ou et al.")
    parser.add_argument(
        "--mcp", type=Path, metavar="DIR", help="folder of radiographs of finger joints with their masks"
    )
    parser.add_argument("--joints", type=int, default=30, metavar="N", help="with --mcp: joints (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.gaps:
        print(gap_table(arguments.gaps))
        return
    if arguments.mcp:
        print(closure_table(arguments.mcp, arguments.joints))
        return
    done, widths, changes = read_errors(arguments.keep)
    for index in range(done, arguments.wrists):
        visit = draw_visit(arguments.seed, index, arguments.tilt)
        visits = [bright_bones(make_wrist(arguments.seed, index, CONFIG, one)) for one in (None, visit)]
        masks = {"true": [unpack_masks(wrist.bones) for wrist in visits]}
        if arguments.predicted:
            masks["predicted"] = predict(visits)
        if arguments.fine:
            fine = make_wrist(arguments.seed, index, replace(CONFIG, size=FINER * CONFIG.size))
            add_widths(widths, masks, fine, visits[0])
        elif arguments.predicted:
            add_widths(widths, {"predicted": masks["predicted"]}, visits[0], visits[0])
        for kind, pair in masks.items():
            add_changes(changes, kind, visits, pair, visit)
        if arguments.keep:
            write_errors(arguments.keep, index + 1, widths, changes)
        print(f"{index + 1} of {arguments.wrists}", file=sys.stderr, flush=True)
    if widths:
        print(table("mean error of the width, mm", widths))
    print(table("mean error of the change, mm", changes))


def read_errors(path: Path | None) -> tuple[int, dict, dict]:
    """Return how many phantoms have been measured, and the errors of their widths and changes."""
    kept = json.loads(path.read_text()) if path and path.exists() else {"phantoms": 0, "widths": [], "changes": []}
    widths, changes = (
        defaultdict(list, {tuple(key): part for key, part in kept[name]}) for name in ("widths", "changes")
    )
    return kept["phantoms"], widths, changes


def write_errors(path: Path, phantoms: int, widths: dict, changes: dict) -> None:
    """Write the file of `read_errors`."""
    errors = {name: list(part.items()) for name, part in (("widths", widths), ("changes", changes))}
    write_text(path, json.dumps({"phantoms": phantoms, **errors}))


def draw_visit(seed: int, index: int, tilt: float) -> Visit:
    """Draw a second radiograph."""
    rng = np.random.default_rng([seed, index])
    narrowing = {site: float(rng.uniform(0, MOST)) for site in SITES if rng.random() < NARROWED}
    turn, (x, y), out = rng.normal(0, 4), rng.normal(0, 3, 2), rng.normal(0, tilt, 2)
    return Visit(index + 1, float(turn), (float(x), float(y)), float(out[0]), float(out[1]), narrowing)


def predict(visits: list[WristSample]) -> list[np.ndarray]:
    """Return the masks that the shipped weights predict."""
    from jointwrist import Predictor
    from jointwrist.data.radiograph import Radiograph
    from jointwrist.inference.placement import Placement

    predictor = Predictor.from_pretrained("jointwrist_tiny")
    placements = [Placement(Radiograph(v.image[0], spacing_mm=v.spacing_mm, side=v.side)) for v in visits]
    return [result.masks for result in predictor.predict(placements)]


def add_widths(errors: dict, masks: dict[str, list[np.ndarray]], truth: WristSample, visit: WristSample) -> None:
    """Add the errors of the widths at the first visit, of which `truth` is the same or a finer radiograph."""
    true, spacing = unpack_masks(truth.bones), visit.spacing_mm
    for site, (first, second) in PAIRS.items():
        wanted = joint_space(true[first], true[second], truth.spacing_mm)
        for kind, (found, _) in masks.items():
            width = joint_space(found[first], found[second], spacing, visit.image[0])
            if wanted and width:
                for key in ("mean", "mean_at_edges", "minimum"):
                    expected = wanted.minimum if key == "minimum" else wanted.mean
                    errors[f"{key}, {kind} masks", site].append(getattr(width, key) - expected)


def add_changes(errors: dict, kind: str, visits: list[WristSample], masks: list[np.ndarray], visit: Visit) -> None:
    """Add the errors of the changes."""
    spacing = visits[0].spacing_mm
    start = register(*masks, 1.0)
    motions = bone_motions(
        [wrist.image[0] for wrist in visits], masks, start, {bone for pair in PAIRS.values() for bone in pair}
    )
    for site, (first, second) in PAIRS.items():
        wanted = -visit.narrowing.get(site, 0.0)
        widths = [joint_space(found[first], found[second], spacing) for found in masks]
        if all(widths):
            errors[f"widths, {kind} masks", site].append(widths[1].mean - widths[0].mean - wanted)
        if first in motions and second in motions:
            change = space_change(masks[0][first], masks[0][second], (motions[first], motions[second]), spacing)
            if change:
                errors[f"bones moved, {kind} masks", site].append(change.change - wanted)
                errors[f"stated error, {kind} masks", site].append(change.error)


def table(title: str, errors: dict) -> str:
    """Return a Markdown table of mean absolute errors: one row per kind, one column per site and one for all.

    Those of a site have the half width of their 95 % confidence interval.
    """
    rows = []
    for kind in dict.fromkeys(kind for kind, _ in errors):
        by_site = [np.abs(errors[kind, site]) for site in SITES]
        pooled = np.concatenate(by_site)
        values = [f"{pooled.mean():.3f}", f"{np.median(pooled):.3f}", f"{pooled.max():.2f}", str(len(pooled))]
        rows.append((kind, *values, *map(with_interval, by_site)))
    return "\n".join(markdown_lines([title, "all", "median", "largest", "n", *SITES], rows)) + "\n"


def with_interval(values: np.ndarray) -> str:
    """Return the mean and half of its 95 % confidence interval."""
    if len(values) < 2:
        return "-"
    return f"{np.mean(values):.3f} ± {1.96 * np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"


def gap_table(folder: Path) -> str:
    """Return the change found on each pair of radiographs of Ou et al.; the true one is 0.50 mm."""
    rows = []
    for name, spacing in {"Radiography": 0.15, "Tomosynthesis": 0.26}.items():
        for medium in ("Air", "Water"):
            read = [
                np.asarray(Image.open(folder / f"{name}{medium}" / f"{file}.bmp").convert("L"), np.float64)
                for file in ("gap_1.20mm", "gap_1.70mm", "segmentation")
            ]
            # the first column of the segmentation belongs to neither bone
            regions = np.concatenate([read[2][:, 1:2], read[2][:, 1:]], 1)
            bones = np.stack([regions == 1, regions == 0])
            found = joint_space_change(read[:2], (bones, bones), (spacing, spacing), Similarity(1.0, 0.0, np.zeros(2)))
            rows.append((f"{name.lower()}, {medium.lower()}", f"{found.change:.3f}", f"{found.error:.3f}"))
    return "\n".join(markdown_lines(["pair", "change, mm", "standard error"], rows))


def closure_table(folder: Path, joints: int) -> str:
    """Return how far the changes round three radiographs of a joint, which add up to 0, are from it, in pixels.

    The spread of the sum is that of three changes, so that of one is smaller by the root of 3.
    """
    found = defaultdict(list)
    for path in sorted(folder.glob("*.jpg")):
        joint, finger, _, side = path.stem.split("_")
        found[joint, finger, side].append(path)
    sums, moved, widened = [], [], []
    three = [paths[:3] for paths in found.values() if len(paths) >= 3]
    for paths in three[:: max(len(three) // joints, 1)][:joints]:
        pixels = [np.asarray(Image.open(path).convert("L"), np.float64) for path in paths]
        bits = [np.asarray(Image.open(path.with_name(f"{path.stem}_masks.png"))) for path in paths]
        bones = [np.stack([bit & 2, bit & 1]).astype(bool) for bit in bits]
        widths = [joint_space(*pair) for pair in bones]
        found = [
            joint_space_change([pixels[a], pixels[b]], [bones[a], bones[b]], (1, 1))
            for a, b in ((0, 1), (1, 2), (2, 0))
        ]
        if all(found) and all(widths):
            sums.append(sum(change.change for change in found))
            moved += [change.change for change in found]
            widened += [widths[b].mean - widths[a].mean for a, b in ((0, 1), (1, 2), (2, 0))]
    closure, between = np.array(sums), np.array(moved) - widened
    rows = [
        ("joints that could be followed round, of those tried", f"{len(sums)} of {min(joints, len(three))}"),
        ("median distance of the sum from 0, px", f"{np.median(np.abs(closure)):.3f}"),
        ("SD of one change by it, px", f"{closure.std() / np.sqrt(3):.3f}"),
        ("median change, px", f"{np.median(np.abs(moved)):.3f}"),
        ("median difference to the change of the masks' mean width, px", f"{np.median(np.abs(between)):.3f}"),
    ]
    return "\n".join(markdown_lines(["radiographs of finger joints", "figure"], rows))


if __name__ == "__main__":
    main()
