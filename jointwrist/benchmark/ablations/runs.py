"""Train and test the runs of an ablation plan."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import set_seed

from jointwrist.benchmark.ablations.kept_results import KeptResults, run_name
from jointwrist.benchmark.ablations.plan import Ablations, Retest, run_folder
from jointwrist.benchmark.job_lock import job_lock
from jointwrist.benchmark.jobs import Job, dataset_digest, run_job, shard, write_case_results
from jointwrist.benchmark.records import RECORD
from jointwrist.config import ConfigError, build, to_dict
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.loop.trainer import BEST
from jointwrist.engine.processes.session import open_accelerator
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.errors import DataError
from jointwrist.files import write_text
from jointwrist.phantom import Parts, PhantomConfig, write_phantom
from jointwrist.phantom.stream import KEEP
from jointwrist.weights.checkpoint import load_weights


@dataclass(frozen=True)
class Choice:
    """Selection of a plan's runs; None means all.

    Attributes:
        regimes: Names of regimes.
        arms: Names of arms.
        seeds: Seeds.
        shard: I/N, every N-th run from the I-th.
        retry: Run failed runs again.
    """

    regimes: Sequence[str] | None = None
    arms: Sequence[str] | None = None
    seeds: Sequence[int] | None = None
    shard: str = "1/1"
    retry: bool = False


def run_plan(plan: Ablations, choice: Choice, results: Path, kept_in: Path) -> bool:
    """Train and test the chosen runs that are not done, and print the outcome of each.

    Args:
        plan: Plan of the ablations.
        choice: Part of it.
        results: Folder for everything that the runs write.
        kept_in: Folder with the per-case results of earlier runs, which are not run again.

    Returns:
        Whether a run failed.

    Raises:
        ConfigError: The chosen arms differ in precision, which cannot change in a process.
        DataError: A run in `results` was trained with another configuration.
    """
    chosen = plan.runs(
        list(choice.regimes or plan.regimes), list(choice.arms or plan.arms), list(choice.seeds or plan.seeds)
    )
    accelerator = open_accelerator(common_precision(plan, chosen, results), None, results)
    dataset = open_phantom(plan, results)
    os.environ.setdefault(KEEP, str(results / "stream"))
    data, failed = dataset_digest(dataset), False
    kept = KeptResults.read(kept_in)
    for regime, arm, seed in shard(chosen, choice.shard):
        if kept_already(plan, kept, chosen, (regime, arm, seed), results):
            print(f"{regime} {arm} seed {seed}: kept in {kept_in}")
            continue
        job = Job(plan.config(regime, arm, seed, results), data, run_folder(results, regime, arm, seed))
        after = plan.arms[arm].after
        if after and not Path(job.config.joint.segmenter).is_file():
            print(f"{regime} {arm} seed {seed}: waits for {after}; give the same command again later")
            continue
        with job_lock(accelerator, job) as locked:
            if not locked:
                print(f"{regime} {arm} seed {seed}: another process is training it; skipped")
                continue
            record = job.record
            if record is None or (record["status"] != "ok" and choice.retry):
                set_seed(seed)
                record = run_job(accelerator, job, dataset)
                say = f"{record['status']} after {record['seconds']:.0f} s {record.get('error', '')}"
                print(f"{regime} {arm} seed {seed}: {say}", flush=True)
            elif build(RunConfig, record["config"]) != job.config:
                raise DataError(
                    f"{job.folder}: was trained with a different configuration; remove it, or use another --results"
                )
            failed |= record["status"] != "ok"
            for name, retest in plan.retests.items():
                if retest.of == arm and record["status"] == "ok":
                    test_again(accelerator, job, dataset, retest, run_folder(results, regime, name, seed))
    return failed


def common_precision(plan: Ablations, chosen: list[tuple[str, str, int]], results: Path) -> str:
    """Return the precision of runs.

    Raises:
        ConfigError: They differ in it.
    """
    arms: dict[str, list[str]] = {}
    for regime, arm, seed in chosen:
        found = arms.setdefault(plan.config(regime, arm, seed, results).precision, [])
        if arm not in found:
            found.append(arm)
    if len(arms) > 1:
        each = "; ".join(f"{precision}: {', '.join(names)}" for precision, names in arms.items())
        raise ConfigError(
            f"the arms differ in precision ({each}); run those of each precision by themselves with --arms"
        )
    return next(iter(arms), "no")


def kept_already(
    plan: Ablations, kept: KeptResults, chosen: list[tuple[str, str, int]], run: tuple[str, str, int], results: Path
) -> bool:
    """Whether results of a run with the same configuration are kept and no other run needs its weights."""

    def same(regime: str, arm: str, seed: int) -> bool:
        values = kept.configs.get(run_name(f"{regime}-{arm}-{seed}", plan.arm_version(arm)))
        if values is None:
            return False
        found, wanted = (
            replace(config, joint=replace(config.joint, segmenter=""))
            for config in (build(RunConfig, values), plan.config(regime, arm, seed, results))
        )
        return found == wanted

    regime, arm, seed = run
    followers = [name for name, entry in plan.arms.items() if entry.after == arm and (regime, name, seed) in chosen]
    return same(*run) and all(same(regime, name, seed) for name in followers)


def test_again(accelerator: Accelerator, job: Job, dataset: RamW600, retest: Retest, folder: Path) -> None:
    """Test a trained network with other masks for the erosion head, at its own threshold."""
    if (folder / RECORD).is_file():
        return
    config = replace(job.config, joint=replace(job.config.joint, test_masks=retest.test_masks))
    again = Job(config, job.data, folder)
    model, info = load_weights(job.folder / BEST)
    _, rows = evaluate_model(
        accelerator, model.to(accelerator.device), load_run_data(config, dataset, ("test",)).test, build_task(config)
    )
    write_case_results(again, {"erosion": rows["erosion"]}, info["thresholds"]["erosion"])
    write_text(folder / RECORD, json.dumps({**job.record, "config": to_dict(config), "seconds": 0.0}, indent=1))


def open_phantom(plan: Ablations, results: Path) -> RamW600:
    """Open the fixed phantom, made at first use."""
    values = dict(plan.phantom)
    parts, size, seed = Parts(*values.pop("parts")), values.pop("size"), values.pop("seed")
    root = results / plan.name
    write_phantom(root, parts.wrists, size=size, seed=seed, config=build(PhantomConfig, values), parts=parts)
    return RamW600.open(root)
