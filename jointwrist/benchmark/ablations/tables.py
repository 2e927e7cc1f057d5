"""Tables of the ablations, made from the kept per-case results of every run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from jointwrist.benchmark.ablations.estimates import FIGURES, MASK_FIGURES, Figures
from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.ablations.plan import Ablations, title_of
from jointwrist.benchmark.ablations.plot import write_picture
from jointwrist.benchmark.ablations.versions import progress, shown_version
from jointwrist.benchmark.tables.cells import ABSENT, NOT_RUN, OVER_SEEDS, Figure, PValue
from jointwrist.benchmark.tables.table import Table, save_tables
from jointwrist.files import write_text
from jointwrist.text import number_of


def write_ablations(plan: Ablations, results: Path, out: Path | None = None) -> str:
    """Add finished runs to the kept results, and write results, tables and picture.

    Args:
        plan: Plan of the ablations.
        results: Folder whose finished runs are added.
        out: Folder of the kept results, tables and picture; None for `results`. Tables also go into the page next to
            it that has its name.

    Returns:
        The tables in Markdown.
    """
    out = out or results
    rows = KeptResults.read(out).with_runs(results, plan)
    if rows.runs.empty:
        return "no run is finished yet"
    rows.write(out)
    versions = {regime: shown_version(plan, rows, regime) for regime in plan.regimes}
    notes = {regime: progress(plan, rows, regime, version) for regime, version in versions.items()}
    shown = rows.of_versions(versions, plan)
    figures = Figures.of(shown)
    tables = [replace(arm_table(plan, shown, figures, regime), note=note) for regime, note in notes.items()]
    tables.append(difference_table(plan, shown, figures))
    save_tables(out, tables)
    write_picture(plan, shown, figures, out / "ablations.png")
    text = "\n".join(table.markdown() for table in tables)
    write_text(out / "tables.md", text)
    page = out.with_suffix(".md")
    if page.is_file():
        write_text(page, filled(page.read_text(encoding="utf-8"), text))
    return text


def filled(page: str, tables: str) -> str:
    """Return a page with the tables between its markers."""
    block = f"<!-- tables -->\n{tables.strip()}\n<!-- /tables -->"
    return re.sub("<!-- tables -->.*<!-- /tables -->", lambda _: block, page, flags=re.DOTALL)


def arm_table(plan: Ablations, rows: KeptResults, figures: Figures, regime: str) -> Table:
    """Every arm of a regime: mean and SD over seeds, 95 % interval over seeds and patients."""
    lines, versions = [], set()
    for arm, entry in plan.entries.items():
        if regime not in (getattr(entry, "regimes", ()) or plan.regimes):
            continue
        runs = rows.of(regime, arm)
        line: dict[str, Any] = {"Arm": f"`{arm}`", "what": title_of(plan, arm), "seeds": len(runs) or NOT_RUN}
        if runs:
            records = rows.runs.loc[runs]
            line["version"] = rows.version(runs[0])
            versions.add(line["version"])
            line["pixels of erosions"] = "yes" if rows.learned_pixels(runs[0]) else "no"
            line["minutes"] = f"{records['seconds'].astype(float).mean() / 60:.1f}" if arm in plan.arms else ABSENT
            line["machine"] = ", ".join(sorted(set(records["machine"])))
            line |= {title: figures.over_seeds(runs, key) or ABSENT for key, (title, *_) in FIGURES.items()}
        lines.append(line)
    summary = (
        f"Ablations, {regime}: {plan.regimes[regime].summary}. Tested on {_count(rows)}.{_eroded(rows)}"
        f" {OVER_SEEDS}. {' '.join(f'Version {v}: {plan.versions[v - 1].change}.' for v in sorted(versions))}"
    )
    return Table(f"ablations_{regime}", summary.strip(), lines)


def difference_table(plan: Ablations, rows: KeptResults, figures: Figures) -> Table:
    """The contrasts of the plan, and S1 minus every other arm, paired by seed and patient."""
    others = [arm for arm in plan.entries if arm != "S1"]
    pairs = [(name, contrast.arm, contrast.minus) for name, contrast in plan.contrasts.items()]
    lines = []
    for regime in plan.regimes:
        for name, first, second in [*pairs, *(("", "S1", other) for other in others)]:
            for key in (*MASK_FIGURES, "AUROC"):
                found = difference(rows, figures, regime, first, second, key)
                if found is not None:
                    seeds, estimate, p = found
                    lines.append(
                        {
                            "Regime": regime,
                            "arms": f"`{first}` - `{second}`" + (f" ({name})" if name else ""),
                            "figure": FIGURES[key][0],
                            "difference": estimate,
                            "p": PValue(p),
                            "seeds": seeds,
                        }
                    )
    caption = (
        "Differences of arms: means over the seeds that both have in one version, paired by seed and patient, 95 %"
        " interval and two-sided p over seeds and patients, not corrected for multiple tests; one seed has neither. The"
        " arms of the placebo have equal gradients at the masks, so that their differences are due to chance; smaller"
        " differences between other arms are no evidence"
    )
    return Table("ablations_differences", caption, lines)


def difference(
    rows: KeptResults, figures: Figures, regime: str, first: str, second: str, key: str
) -> tuple[int, Figure, float] | None:
    """Number of common seeds, first minus second arm with its interval, and p; None without common seeds."""
    runs = [{rows.runs.loc[run, "seed"]: run for run in rows.of(regime, arm)} for arm in (first, second)]
    seeds = sorted(runs[0].keys() & runs[1].keys())
    ours, theirs = ([of[seed] for seed in seeds] for of in runs)
    if not seeds:
        return None
    found = figures.difference(ours, theirs, key)
    return found and (len(seeds), *found)


def _eroded(rows: KeptResults) -> str:
    if not len(rows.calls.columns):
        return ""
    share = float((rows.calls.index.get_level_values("score") > 0).mean())
    return (
        f" {share:.1%} of the joint surfaces are eroded: calling all of them eroded gives F1"
        f" {2 * share / (1 + share):.1%}. Erosion: joints pooled; threshold with the largest balanced accuracy on"
        " validation."
    )


def _count(rows: KeptResults) -> str:
    index = rows.calls.index if len(rows.calls.columns) else rows.masks.index
    cases, patients = (index.get_level_values(name).nunique() for name in ("case", "patient"))
    return f"{number_of(cases, 'wrist')} of {number_of(patients, 'patient')}"
