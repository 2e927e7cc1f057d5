"""Rate at which 95 % intervals over seeds and patients miss the true value, on simulated results.

    python benchmarks/miss_rates.py                       the table of docs/protocol.md
    python benchmarks/miss_rates.py --tables 200 --seeds 3

A wrist's DSC and a joint's probability are sums of effects of the seed, of the patient, and of the wrist or joint
(shared by all networks), and a residual. "difference": two arms whose weights come from one distribution; the true
value is 0. "arm": one arm; the true value is its figure over very many seeds and patients.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import expit
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jointwrist.metrics.erosion_bootstrap import weighted_figures
from jointwrist.metrics.seed_patient_intervals import seeds_and_patients
from jointwrist.metrics.statistics import resampling_weights, weighted_mean

FIGURES = ("DSC", "AUROC", "AUPRC", "BACC", "F1", "DOR")
WRISTS, JOINTS = 2, 2


def draw(
    rng: np.random.Generator, networks: int, patients: int, seed_sd: float, resamples: int
) -> Iterator[dict[str, tuple[float, np.ndarray]]]:
    """Draw test patients, and figures of networks on them and on resampled patients.

    Args:
        rng: Random number generator.
        networks: Networks, each trained from a seed of its own.
        patients: Patients, with two wrists each.
        seed_sd: Standard deviation of a seed's effect in units of that of a patient's.
        resamples: Resamples R of patients; 0 for none.

    Yields:
        For each network, value and (R,) resampled values by figure.
    """
    wrist = np.repeat(np.arange(patients), WRISTS)
    joint = np.repeat(wrist, JOINTS)
    sick = rng.normal(size=patients)
    ease = rng.normal(0, 0.02, patients)[wrist] + rng.normal(0, 0.01, len(wrist))
    hard = rng.normal(size=patients)[joint] + rng.normal(0, 0.5, len(joint))
    eroded = sick[joint] + rng.normal(size=len(joint)) > 1.2
    weights = [resampling_weights(rows, resamples) if resamples else None for rows in (wrist, joint)]
    for _ in range(networks):
        dsc = 0.9 + ease + seed_sd * 0.02 * rng.normal() + rng.normal(0, 0.01, len(wrist))
        shift, gain = seed_sd * rng.normal(size=2)
        probability = expit(hard + shift - 1 + (2 + gain) * eroded + rng.normal(0, 1, len(joint)))
        calls = (eroded, probability, probability >= 0.5)
        drawn = weighted_figures(*calls, weights[1]) if resamples else dict.fromkeys(FIGURES, np.empty(0))
        values = {name: float(value[0]) for name, value in weighted_figures(*calls).items()} | {"DSC": dsc.mean()}
        drawn["DSC"] = weighted_mean(dsc, weights[0]) if resamples else np.empty(0)
        yield {name: (values[name], drawn[name]) for name in FIGURES}


def interval(
    runs: list[dict[str, tuple[float, np.ndarray]]], name: str, patients: int, log: bool = False
) -> tuple[float, float]:
    """Interval of an arm, or of a difference of two."""
    values, resampled = [run[name][0] for run in runs], np.array([run[name][1] for run in runs])
    _, low, high, _ = seeds_and_patients(values, resampled, patients, log=log)
    return low, high


def true_figures(seed_sd: float, blocks: int = 60, networks: int = 10, patients: int = 300) -> dict[str, float]:
    """Figures of an arm over very many seeds and patients."""
    rng = np.random.default_rng(1)
    runs = [run for _ in range(blocks) for run in draw(rng, networks, patients, seed_sd, 0)]
    return {name: float(np.mean([run[name][0] for run in runs])) for name in FIGURES}


def miss_rates(
    seeds: int,
    seed_sd: float,
    truth: dict[str, float],
    tables: int = 1000,
    patients: int = 30,
    resamples: int = 250,
) -> dict[str, tuple[float, float]]:
    """Share of tables whose interval of a difference, and of an arm, misses the truth, by figure."""
    missed = {name: np.zeros(2) for name in truth}
    for table in tqdm(range(tables), desc=f"{seeds} seeds, SD {seed_sd:g}", leave=False):
        runs = list(draw(np.random.default_rng([2, table]), 2 * seeds, patients, seed_sd, resamples))
        for name, true in truth.items():
            pairs = [
                {name: (a[name][0] - b[name][0], a[name][1] - b[name][1])}
                for a, b in zip(runs[:seeds], runs[seeds:], strict=True)
            ]
            ends = interval(pairs, name, patients), interval(runs[:seeds], name, patients, name == "DOR")
            missed[name] += [not low <= right <= high for (low, high), right in zip(ends, (0, true), strict=True)]
    return {name: tuple(count / tables) for name, count in missed.items()}


def main(argv: list[str] | None = None) -> None:
    """Print the miss rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=1000, help="simulated tables (default: %(default)s)")
    parser.add_argument("--patients", type=int, default=30, help="patients of a table (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5], help="seeds of an arm (default: 2 3 5)")
    parser.add_argument(
        "--seed-sd", type=float, nargs="+", default=[0, 0.1, 0.3, 1], help="in SDs of a patient (default: 0 .1 .3 1)"
    )
    arguments = parser.parse_args(argv)
    print(f"{arguments.tables} tables, {arguments.patients} patients; 95 % intervals that miss, difference / arm, %")
    print("| seeds | seed SD / patient SD | " + " | ".join(FIGURES) + " |")
    print("| ---: " * (len(FIGURES) + 2) + "|")
    truth = {seed_sd: true_figures(seed_sd) for seed_sd in arguments.seed_sd}
    for seeds in arguments.seeds:
        for seed_sd in arguments.seed_sd:
            rates = miss_rates(seeds, seed_sd, truth[seed_sd], arguments.tables, arguments.patients)
            cells = (f"{100 * rates[name][0]:.1f} / {100 * rates[name][1]:.1f}" for name in FIGURES)
            print(f"| {seeds} | {seed_sd:g} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
