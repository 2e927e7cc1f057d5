"""What proves that joint training helps: arms of the joint network, cascades and the paper's models on equal terms.

    python benchmarks/ablations.py                             all that is not done, the most telling runs first
    python benchmarks/ablations.py --arms S0 S1 --seeds 3407   some of it
    python benchmarks/ablations.py --shard 1/2                 half of it; shards may share a results folder
    python benchmarks/ablations.py --tables                    tables and picture from the rows, nothing trained

The arms stand in benchmarks/ablations.yaml. Finished runs are skipped, also those whose rows are kept in
docs/ablations, and a killed one continues, so the table can be made in pieces.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from accelerate import Accelerator
from accelerate.utils import set_seed

from jointwrist.benchmark.ablations.rows import Rows
from jointwrist.benchmark.ablations.tables import write_ablations
from jointwrist.benchmark.jobs import Job, dataset_digest, run_job, write_rows
from jointwrist.config import ConfigError, build, merge_trees, read_yaml, to_dict
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.evaluation import evaluate_model
from jointwrist.engine.loaders import load_run_data
from jointwrist.engine.run_config import RunConfig
from jointwrist.engine.session import open_accelerator
from jointwrist.engine.tasks import build_task
from jointwrist.engine.trainer import BEST
from jointwrist.errors import DataError, StorageError
from jointwrist.files import write_text
from jointwrist.phantom import Parts, PhantomConfig, write_phantom
from jointwrist.phantom.stream import KEEP
from jointwrist.registry import model_spec
from jointwrist.weights.checkpoint import load_weights

FILE = Path(__file__).with_suffix(".yaml")
#: Rows of the runs so far; what is there is not run again.
KEPT = Path(__file__).resolve().parent.parent / "docs" / "ablations"


@dataclass(frozen=True)
class Arm:
    """One line of the table.

    Attributes:
        title: What sets it apart.
        model: Registry name.
        reports: Tables that the arm has figures in; others are by-products.
        set: Values that differ from the joint network's.
        after: Arm whose masks drive the erosion head (`joint.segmenter`).
        regimes: Regimes that it runs in; empty means all.
    """

    title: str
    model: str
    reports: tuple[Literal["segmentation", "erosion"], ...]
    set: dict[str, Any] = field(default_factory=dict)
    after: str = ""
    regimes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Retest:
    """Trained weights of an arm, tested with other masks for the erosion head."""

    of: str
    title: str
    test_masks: str


@dataclass(frozen=True)
class Contrast:
    """A difference in the table beside those of S1 from the other arms."""

    arm: str
    minus: str


@dataclass(frozen=True)
class Regime:
    """Where the training wrists come from.

    Attributes:
        summary: One line for people.
        set: Values of every run.
        seeds: How many of the plan's seeds are run; 0 means all.
    """

    summary: str
    set: dict[str, Any]
    seeds: int = 0


@dataclass(frozen=True)
class Ablations:
    """The whole plan; see benchmarks/ablations.yaml."""

    name: str
    versions: tuple[str, ...]
    phantom: dict[str, Any]
    seeds: tuple[int, ...]
    telling: tuple[str, ...]
    defaults: dict[str, Any]
    regimes: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    arms: dict[str, Any]
    retests: dict[str, Any]
    contrasts: dict[str, Any]

    @property
    def version(self) -> int:
        """Number of the last version, counted from 1."""
        return len(self.versions)

    @classmethod
    def load(cls, path: Path = FILE) -> Ablations:
        """Read the plan."""
        plan = build(cls, read_yaml(path))
        return replace(
            plan,
            regimes={name: build(Regime, values, f"regimes.{name}.") for name, values in plan.regimes.items()},
            arms={name: build(Arm, values, f"arms.{name}.") for name, values in plan.arms.items()},
            retests={name: build(Retest, values, f"retests.{name}.") for name, values in plan.retests.items()},
            contrasts={name: build(Contrast, values, f"contrasts.{name}.") for name, values in plan.contrasts.items()},
        )

    def config(self, regime: str, arm: str, seed: int, results: Path) -> RunConfig:
        """Resolve one run: defaults <- task <- regime <- arm."""
        chosen = self.arms[arm]
        task = model_spec(chosen.model).task
        cascade = {"joint": {"segmenter": str(run_folder(results, regime, chosen.after, seed) / BEST)}}
        values = merge_trees(
            self.defaults,
            self.regimes[regime].set,
            self.tasks[task],
            chosen.set,
            cascade if chosen.after else {},
        )
        protocol = f"{self.name} {regime} v{self.version}"
        identity = {"model": chosen.model, "task": task, "protocol": protocol, "seed": seed}
        return build(RunConfig, {**values, **identity})

    def runs(self, regimes: list[str], arms: list[str], seeds: list[int]) -> list[tuple[str, str, int]]:
        """Order of the runs: telling arms first; of them, one seed before the next; arms in the order of the file."""
        unused = {
            (name, seed)
            for name, regime in self.regimes.items()
            for seed in (self.seeds[regime.seeds :] if regime.seeds else ())
        }
        return [
            (regime, arm, seed)
            for telling in (True, False)
            for seed in seeds
            for regime in regimes
            for arm in arms
            if (arm in self.telling) == telling
            and regime in (self.arms[arm].regimes or self.regimes)
            and (regime, seed) not in unused
        ]


def run_folder(results: Path, regime: str, arm: str, seed: int) -> Path:
    """Where a run's files go."""
    return results / "runs" / f"{regime}-{arm}-{seed}"


def main(argv: list[str] | None = None) -> int:
    """Run what is not done, write the tables; return 1 if a run failed, 2 if it could not begin."""
    arguments = parse_arguments(argv)
    try:
        plan = Ablations.load(arguments.plan)
        if arguments.tables:
            print(write_ablations(plan, arguments.results, arguments.out))
            return 0
        failed = run(plan, arguments)
    except (ConfigError, DataError, StorageError) as error:
        print(f"ablations: {error}", file=sys.stderr)
        return 2
    print(write_ablations(plan, arguments.results, arguments.out))
    return int(failed)


def run(plan: Ablations, arguments: argparse.Namespace) -> bool:
    """Train and test the chosen runs; return whether one failed."""
    accelerator = open_accelerator("no", None, arguments.results)
    dataset = open_phantom(plan, arguments.results)
    os.environ.setdefault(KEEP, str(arguments.results / "stream"))
    data, failed = dataset_digest(dataset), False
    first, count = (int(part) for part in arguments.shard.split("/"))
    chosen = plan.runs(
        arguments.regimes or list(plan.regimes), arguments.arms or list(plan.arms), arguments.seeds or list(plan.seeds)
    )
    kept = Rows.read(arguments.out)
    for regime, arm, seed in chosen[first - 1 :: count]:
        if kept_already(plan, kept, chosen, (regime, arm, seed), arguments.results):
            print(f"{regime} {arm} seed {seed}: kept in {arguments.out}")
            continue
        job = Job(
            plan.config(regime, arm, seed, arguments.results), data, run_folder(arguments.results, regime, arm, seed)
        )
        record = job.record
        segmenter = job.config.joint.segmenter
        if segmenter and not Path(segmenter).is_file():
            print(f"{regime} {arm} seed {seed}: waits for {plan.arms[arm].after}; give the same command again later")
            continue
        if record is None or (record["status"] != "ok" and arguments.retry):
            set_seed(seed)
            record = run_job(accelerator, job, dataset)
            say = f"{record['status']} after {record['seconds']:.0f} s {record.get('error', '')}"
            print(f"{regime} {arm} seed {seed}: {say}", flush=True)
        elif build(RunConfig, record["config"]) != job.config:
            raise DataError(
                f"{job.folder}: was trained with another configuration; remove it, or take another --results"
            )
        failed |= record["status"] != "ok"
        for name, retest in plan.retests.items():
            if retest.of == arm and record["status"] == "ok":
                test_again(accelerator, job, dataset, retest, run_folder(arguments.results, regime, name, seed))
    return failed


def kept_already(
    plan: Ablations, kept: Rows, chosen: list[tuple[str, str, int]], run: tuple[str, str, int], results: Path
) -> bool:
    """Whether a run's rows are kept, from the same configuration, and no other run waits for its weights."""

    def same(regime: str, arm: str, seed: int) -> bool:
        values = kept.configs.get(f"{regime}-{arm}-{seed}")
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
    """Test a trained network with other masks for the erosion head, at the threshold that it has."""
    if (folder / "job.json").is_file():
        return
    config = replace(job.config, joint=replace(job.config.joint, test_masks=retest.test_masks))
    again = Job(config, job.data, folder)
    model, info = load_weights(job.folder / BEST)
    _, rows = evaluate_model(
        accelerator, model.to(accelerator.device), load_run_data(config, dataset, ("test",)).test, build_task(config)
    )
    write_rows(again, {"erosion": rows["erosion"]}, info["thresholds"]["erosion"])
    write_text(folder / "job.json", json.dumps({**job.record, "config": to_dict(config), "seconds": 0.0}, indent=1))


def open_phantom(plan: Ablations, results: Path) -> RamW600:
    """Open the fixed phantom, made at first use."""
    values = dict(plan.phantom)
    parts, size, seed = Parts(*values.pop("parts")), values.pop("size"), values.pop("seed")
    root = results / plan.name
    write_phantom(root, parts.wrists, size=size, seed=seed, config=build(PhantomConfig, values), parts=parts)
    return RamW600.open(root)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=FILE, help="YAML file of the arms (default: the project's)")
    parser.add_argument("--regimes", nargs="+", metavar="NAME", help="free, scarce; default: both")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="names of the file; default: all")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="seeds; default: those of the file")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="every N-th run only, from the I-th")
    parser.add_argument("--retry", action="store_true", help="run failed ones again")
    parser.add_argument("--tables", action="store_true", help="tables and picture from the rows; train nothing")
    parser.add_argument("--results", type=Path, default=Path("results/ablations"), help="(default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=KEPT, help="folder of rows, tables and picture (default: docs/ablations)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
