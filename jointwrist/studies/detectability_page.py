"""Results of a detectability study: a plot, and a self-contained HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd
from PIL import Image

from jointwrist import __version__
from jointwrist.anatomy import JOINT_NAMES, JOINTS
from jointwrist.files import atomic, write_text
from jointwrist.insertion.insert import TRAINING_FAMILIES
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.renamed_names import former_arguments
from jointwrist.studies.detectability import ALL, Detectability
from jointwrist.studies.insertion_study import StudyPlan, Trial, trials
from jointwrist.text import NOTICE, number_of

#: Half the side of an example in mm, and its side on the page in pixels.
_AROUND_MM, _SIDE = 9.0, 220
#: Title of each figure in the tables.
_COLUMNS = {"auroc": "AUROC", "sensitivity": "sensitivity", "higher": "higher in pairs"}
_PAGE = Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title><style>
:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto;
padding: 0 1rem } table { border-collapse: collapse } th, td { padding: .2rem .7rem; text-align: right; border-bottom:
1px solid #8886 } th:first-child, td:first-child { text-align: left } img { max-width: 100% } figure { display:
inline-block; margin: .4rem } figcaption { font-size: .8rem }
</style></head><body><h1>$title</h1><p>$summary</p><p>$families</p>
<img alt="Sensitivity and AUROC by radius" src="$plot"><h2>By radius</h2>$radius<h2>By joint</h2>$joints
<h2>By family</h2>$kinds
<h2>Control</h2><p>The same decrease of grey in soft tissue beside the bone; the expected AUROC is 0.5.</p>$control
$examples<p>$notice</p><p>jointwrist $version</p></body></html>
"""
)


def write_plot(found: Detectability, path: Path) -> None:
    """Plot sensitivity and AUROC over the radius, of all joints with their intervals and of each joint."""
    from matplotlib.figure import Figure

    inserted = found.table[(found.table["kind"] == "inserted") & (found.table["family"] == ALL)]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, name in zip(axes, ("sensitivity", "auroc"), strict=True):
        for joint in JOINTS:
            part = inserted[inserted["joint"] == joint.name]
            axis.plot(part["radius_mm"], part[name], marker=".", linewidth=0.9, alpha=0.7, label=joint.display)
        part = inserted[inserted["joint"] == ALL]
        errors = np.abs(part[[f"{name}_low", f"{name}_high"]].to_numpy().T - part[name].to_numpy())
        axis.errorbar(part["radius_mm"], part[name], errors, color="black", capsize=3, linewidth=2, label="all joints")
        axis.set(xlabel="radius in mm", ylim=(0, 1.02))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"sensitivity at {found.false_calls:.0%} false calls")
    axes[1].set_ylabel("AUROC, with erosion against without")
    axes[1].legend(frameon=False, fontsize=8)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def write_page(
    found: Detectability,
    plan: StudyPlan,
    weights: str,
    plot: Path,
    path: Path,
    examples: Sequence[tuple[str, Image.Image]] = (),
) -> None:
    """Write the page.

    Args:
        found: Figures.
        plan: Settings of the study.
        weights: Name of the weights.
        plot: Plot of `write_plot`.
        path: HTML file.
        examples: Captions and pictures of radiographs; empty leaves them out.
    """
    table = found.table
    inserted = table[table["kind"] == "inserted"]
    of_all = (inserted["joint"] == ALL) & (inserted["family"] == ALL)
    content = _PAGE.substitute(
        title=escape(f"How large must an erosion be for {weights} to detect it?"),
        summary=escape(summary(found)),
        families=escape(
            f"Inserted erosions are of the families {', '.join(plan.families)}, with which no weights of this project"
            f" are trained; those of training are {', '.join(TRAINING_FAMILIES)}."
        ),
        plot=_embedded(plot.read_bytes()),
        radius=_table(inserted[of_all], ["radius_mm"]),
        joints=_table(inserted[inserted["joint"] != ALL], ["joint", "radius_mm"]),
        kinds=_table(inserted[inserted["family"] != ALL], ["family", "radius_mm"]),
        control=_table(table[table["kind"] == "control"], ["radius_mm"]),
        examples=_figures(examples),
        notice=escape(NOTICE),
        version=escape(__version__),
    )
    write_text(path, content)


def summary(found: Detectability) -> str:
    """Summarise the data behind the figures in three sentences."""
    low, high = found.threshold_interval
    return (
        f"{number_of(found.radiographs, 'wrist')} of {number_of(found.patients, 'patient')}. A joint is called eroded"
        f" from the probability {found.threshold:.3f} [{low:.3f}, {high:.3f}], at which at most {found.false_calls:.0%}"
        f" of the unmodified joints are called; their mean probability is {found.untouched:.3f}. Some of them may be"
        " truly eroded, which lowers every AUROC; brackets are 95 % intervals over patients."
    )


@former_arguments(films="prepared")
def draw_examples(prepared: Sequence[Path], rows: pd.DataFrame, plan: StudyPlan) -> list[tuple[str, Image.Image]]:
    """Draw, for each joint, the erosion of the control's radius with the median rise in probability."""
    rows = rows[np.isfinite(rows["probability"])]
    keys = ["film", "side", "joint"]
    plain = rows[rows["kind"] == "plain"].set_index(keys)["probability"]
    chosen = rows[(rows["kind"] == "inserted") & (rows["radius_mm"] == plan.control_mm)].copy()
    before = plain.groupby(level=keys).first()
    chosen["before"] = before.reindex(pd.MultiIndex.from_frame(chosen[keys])).to_numpy()
    by_seed = {trial.seed: (path, trial) for path in prepared for trial in trials(path, plan)}
    examples = []
    for joint in JOINTS:
        part = chosen[(chosen["joint"] == joint.name) & chosen["seed"].isin(by_seed.keys())]
        if part.empty:
            continue
        row = part.iloc[int((part["probability"] - part["before"]).argsort().iloc[len(part) // 2])]
        path, trial = by_seed[int(row["seed"])]
        rise = f"{row['before']:.2f} to {row['probability']:.2f}"
        caption = f"{joint.display}, {trial.family}, {trial.radius_mm:g} mm: {rise}"
        examples.append((caption, _example(PreparedRadiograph.read(path), trial)))
    return examples


def _example(wrist: PreparedRadiograph, trial: Trial) -> Image.Image:
    insertion = trial.insert(wrist)
    assert insertion is not None  # its row says that it was made
    half, side = round(_AROUND_MM / wrist.radiograph.pixel_mm), len(insertion.pixels)
    column, row = (int(np.clip(value, half, side - half)) for value in insertion.centre)
    window = slice(row - half, row + half), slice(column - half, column + half)
    both = [pixels[window] for pixels in (wrist.radiograph.pixels, insertion.pixels)]
    low, high = both[0].min(), max(both[0].max(), both[0].min() + 1e-3)
    picture = Image.new("L", (2 * _SIDE + 4, _SIDE))
    for number, part in enumerate(both):
        grey = Image.fromarray(np.uint8(255 * np.clip((part - low) / (high - low), 0, 1)))
        picture.paste(grey.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), (number * (_SIDE + 4), 0))
    return picture


def _figures(examples: Sequence[tuple[str, Image.Image]]) -> str:
    if not examples:
        return ""
    parts = []
    for caption, picture in examples:
        buffer = io.BytesIO()
        picture.save(buffer, format="png")
        image = f'<img alt="without and with an inserted erosion" src="{_embedded(buffer.getvalue())}">'
        parts.append(f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>")
    return f"<h2>Examples</h2><p>Without and with the erosion.</p>{''.join(parts)}"


def _embedded(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _table(part: pd.DataFrame, keys: list[str]) -> str:
    titles = {"radius_mm": "radius mm", "joint": "joint", "family": "family"}
    head = "".join(f"<th>{title}</th>" for title in [*(titles[key] for key in keys), *_COLUMNS.values(), "cases"])
    displays = dict(zip(JOINT_NAMES, (joint.display for joint in JOINTS), strict=True))
    rows = []
    for _, row in part.iterrows():
        cells = [f"{row[key]:g}" if key == "radius_mm" else displays.get(row[key], row[key]) for key in keys]
        cells += [f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]" for name in _COLUMNS]
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in [*cells, row["cases"]]) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
