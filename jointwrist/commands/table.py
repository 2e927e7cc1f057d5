"""`jointwrist table`: many results and comparisons as tables for statistics programs."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jointwrist.commands.messages import complain
from jointwrist.text import number_of


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "table",
        help="results as CSV or Excel tables",
        description="Write the results of `jointwrist predict` and `jointwrist compare` as tables for R, SPSS, Stata,"
        " pandas or a spreadsheet: a row for each wrist, joint surface, bone and joint space, or for its change, and a"
        " codebook of the columns.",
    )
    parser.add_argument(
        "results", type=Path, nargs="+", metavar="RESULTS", help="folder that one of them wrote, or JSON file"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("tables"),
        help="folder for CSV files, or a file that ends in .xlsx (default: %(default)s)",
    )
    parser.set_defaults(run=table)


def table(arguments: argparse.Namespace) -> int:
    """Write the tables; return 2 if a JSON file is damaged."""
    from jointwrist.outputs.tables import find_results, make_tables, write_tables

    found = find_results(arguments.results, progress=True)
    tables = make_tables(found.results, found.comparisons)
    files = write_tables(tables, arguments.out)
    for file in found.damaged:
        complain(f"{file}: holds no JSON and was left out; predict its radiograph again")
    counts = {"wrist": len(found.results), "comparison": len(found.comparisons)}
    parts = [number_of(count, noun) for noun, count in counts.items() if count]
    if found.others:
        parts.append(f"{number_of(found.others, 'other JSON file')} left out")
    print(f"{', '.join(parts)}: {', '.join(map(str, files))}")
    for caution in cautions({**found.results, **found.comparisons}):
        print(f"note: {caution}")
    return 2 if found.damaged else 0


def cautions(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say what should not be analysed together: several weights or thresholds, and radiographs with several results."""
    notes = []
    of_weights = [result.get("weights") or {} for result in results.values()]
    weights = Counter(weights.get("file") or "unknown" for weights in of_weights)
    if len(weights) > 1:
        counts = ", ".join(f"{name} ({count})" for name, count in weights.most_common())
        notes.append(f"results of {len(weights)} weight files: {counts}; do not pool them")
    elif len({result["erosion_threshold"] for result in results.values() if "erosion_threshold" in result}) > 1:
        notes.append("the results have different thresholds of a call (erosion_threshold); do not pool their calls")
    seen: dict[tuple[Any, ...], str] = {}
    twice = []
    for file, result in results.items():
        if digest := result.get("source_digest"):
            # two hands on one radiograph differ in both; another --side or --field changes one of them
            keys = [(digest, key, str(result.get(key))) for key in ("side", "field")]
            if first := next((seen[key] for key in keys if key in seen), None):
                twice.append((first, file))
            seen |= dict.fromkeys(keys, file)
    if twice:
        notes.append(
            f"{number_of(len(twice), 'result')} of a radiograph that has another one, such as {twice[0][1]} and"
            f" {twice[0][0]}"
        )
    scored = [weights for weights, result in zip(of_weights, results.values(), strict=True) if _has_scores(result)]
    untested = sum(not weights.get("real_erosions") for weights in scored)
    if untested:
        which = "" if untested == len(scored) else f" of {untested} of {len(scored)} results"
        notes.append(f"erosion scores{which} are untested on real erosions (column real_erosions)")
    return notes


def _has_scores(result: Mapping[str, Any]) -> bool:
    """Whether a result or a comparison has the probability of an erosion."""
    keys = ("probability", "baseline_probability", "followup_probability")
    return any(joint.get(key) is not None for joint in result.get("joints", ()) for key in keys)
