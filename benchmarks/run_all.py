"""Reproduce the paper's tables and set the joint network beside them.

    accelerate launch benchmarks/run_all.py                   a demonstration on a wrist phantom, 15 minutes on a laptop
    accelerate launch benchmarks/run_all.py --data RAM-W600   the same models on the released data set
    accelerate launch benchmarks/run_all.py --list            protocols and models

Finished jobs are skipped and a killed one continues, so the same command can be given again at any time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from jointwrist.benchmark import plots, tables
from jointwrist.benchmark.image_grid import measure_radiographs
from jointwrist.benchmark.job_lock import claim
from jointwrist.benchmark.jobs import Job, dataset_digest, make_job, run_job, shard
from jointwrist.benchmark.profile_step import advice, fitting_batch, out_of_memory, try_step
from jointwrist.benchmark.protocol import Protocol, expand_models, load_protocol, protocol_names
from jointwrist.benchmark.report import write_report
from jointwrist.config import ConfigError, digest, parse_overrides, to_dict
from jointwrist.data.batches.samplers import check_processes
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.loaders import load_run_data
from jointwrist.engine.renamed_keys import current_keys
from jointwrist.engine.session import open_accelerator
from jointwrist.engine.stop import graceful_stop
from jointwrist.errors import DataError, StorageError
from jointwrist.files import check_writable
from jointwrist.registry import list_models, model_spec


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, metavar="ROOT", help="folder of the RAM-W600 release; without it a phantom is made"
    )
    parser.add_argument(
        "--protocol",
        "--profile",
        default="demo",
        help=f"{', '.join(protocol_names())}, or a YAML file (default: %(default)s)",
    )
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help="registry names or patterns instead of the protocol's"
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="seeds instead of the protocol's")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help="folder for everything that is written (default: %(default)s)",
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="values for every run, such as optim.epochs=2"
    )
    parser.add_argument(
        "--shard",
        default="1/1",
        metavar="I/N",
        help="run every N-th job only, from the I-th; shards may share a results folder",
    )
    parser.add_argument(
        "--tracker", metavar="NAME", help="tensorboard, wandb, mlflow, trackio or another of accelerate"
    )
    parser.add_argument("--retry", action="store_true", help="run failed jobs again")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="list the jobs and what is done; measure a training step of the rest for their time and memory",
    )
    parser.add_argument("--no-measure", action="store_true", help="with --dry-run: measure nothing")
    parser.add_argument(
        "--tables-only",
        type=Path,
        metavar="RESULTS",
        help="rebuild the tables of a finished folder, such as results/demo-phantom, from its rows; run nothing",
    )
    parser.add_argument(
        "--grid",
        choices=("network", "image"),
        default="network",
        help="image: also measure the masks on the radiographs' own pixels, as `predict` writes them; tables of their"
        " own (default: %(default)s)",
    )
    parser.add_argument("--raw", action="store_true", help="with --grid image: masks without postprocessing")
    parser.add_argument("--list", action="store_true", help="list protocols and models, run nothing")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return 1 if a job failed, 2 if it could not begin."""
    arguments = parse_arguments(argv)
    try:
        if arguments.list:
            return show_list()
        if arguments.tables_only:
            print_tables(arguments.tables_only, wanted_grid(arguments))
            return 0
        with graceful_stop():
            return run(arguments)
    except (ConfigError, DataError, StorageError) as error:
        print(f"run_all: {error}", file=sys.stderr)
        return 2


def run(arguments: argparse.Namespace) -> int:
    """Make the jobs of a protocol, run those that are not done, write tables and pictures."""
    grid = wanted_grid(arguments)
    protocol = load_protocol(arguments.protocol)
    models = expand_models(arguments.models or protocol.models)
    overrides = current_keys(parse_overrides(arguments.set), "--set")
    overrides["precision"] = runnable_precision(protocol.run_config(models[0], 0, overrides).precision)
    check_writable(arguments.results)
    accelerator = open_accelerator(overrides["precision"], arguments.tracker, arguments.results)
    dataset = open_dataset(accelerator, arguments, protocol)
    folder = arguments.results / f"{protocol.name}-{'phantom' if dataset.is_phantom else 'ram_w600'}"
    data = dataset_digest(dataset)
    jobs = [
        make_job(protocol.run_config(model, seed, overrides), data, folder)
        for seed in arguments.seeds or protocol.seeds
        for model in models
    ]
    mine = shard(jobs, arguments.shard)
    say(accelerator, f"{protocol.name}: {protocol.summary}")
    for job in mine:
        record = job.record
        say(accelerator, f"  {job.folder.name}: {record['status'] if record else 'to do'}")
    check_shares(mine, accelerator.num_processes)
    if arguments.dry_run:
        if not arguments.no_measure:
            forecast(accelerator, mine, dataset)
        return 0
    left: list[Job] = []
    for job in mine:
        with claim(accelerator, job) as mine_alone:
            if not mine_alone:
                say(accelerator, f"{job.folder.name}: another run is at it, left to that one")
                left.append(job)
                continue
            record = job.record
            if record and (record["status"] == "ok" or not arguments.retry):
                continue
            set_seed(job.config.seed)
            record = run_job(accelerator, job, dataset)
        say(
            accelerator,
            f"{job.folder.name}: {record['status']} after {record['seconds']:.0f} s {record.get('error', '')}",
        )
    if grid != "network":
        measure_radiographs(accelerator, mine, dataset, grid)
    accelerator.end_training()  # first, so that nobody waits for the tables with a clock running
    if accelerator.is_main_process and any(job.record for job in mine):
        finish(folder, mine, dataset)
        if grid != "network":
            print_tables(folder, grid)
    return 0 if all(job.done for job in mine if job not in left) else 1


def wanted_grid(arguments: argparse.Namespace) -> str:
    """Return the grid of `GRIDS` that the command line asks for.

    Raises:
        ConfigError: `--raw` without `--grid image`.
    """
    if arguments.raw and arguments.grid == "network":
        raise ConfigError("--raw is for --grid image: on the network's grid masks are measured as they are")
    return "image-raw" if arguments.raw else arguments.grid


def check_shares(jobs: list[Job], processes: int) -> None:
    """Make sure that every process gets a part of every batch, before any of them is trained.

    Raises:
        ConfigError: A job that is not done has smaller batches.
    """
    for job in jobs:
        config = job.config
        if job.done or config.task == "foundation":
            continue
        try:
            check_processes(config.optim.batch_size, processes, bool(config.options.get("other_hand")))
        except ConfigError as error:
            raise ConfigError(f"{config.model}: {error}") from None


def forecast(accelerator: Accelerator, jobs: list[Job], dataset: RamW600) -> None:
    """Say how long the jobs that are not done will take and what a step holds in memory.

    A job whose model has a finished one takes as long; of the others a training step is measured. Validation, the test
    and early stopping are not in the forecast of those.
    """
    finished = {job.config.model: job.record["seconds"] for job in jobs if job.done}
    measured: dict[str, tuple[float, str]] = {}
    total = 0.0
    for job in jobs:
        config = job.config
        if job.done or config.task == "foundation":
            continue
        if config.model in finished:
            measured[config.model] = (finished[config.model], "as long as its finished job")
        elif config.model not in measured:
            data = load_run_data(config, dataset)
            try:
                trial = try_step(accelerator, config, data)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                measured[config.model] = (0.0, advice(config, fitting_batch(accelerator, config, data)))
            else:
                steps = len(data.batches) * config.optim.epochs
                told = f"{steps} steps of {trial.seconds:.2f} s, {trial.megabytes:.0f} MB"
                measured[config.model] = (steps * trial.seconds, told)
        seconds, why = measured[config.model]
        total += seconds
        say(accelerator, f"  {job.folder.name}: {seconds / 60:.1f} minutes ({why})")
    say(accelerator, f"in all about {total / 3600:.1f} hours, validation and test not counted")


def finish(folder: Path, jobs: list[Job], dataset: RamW600) -> None:
    """Write tables, plots and overlays."""
    print_tables(folder)
    plots.write_plots(folder, jobs, dataset)
    write_report(folder, folder / "report.html", dataset)
    print(f"rows, tables, curves and pictures: {folder}")


def print_tables(folder: Path, grid: str = "network") -> None:
    """Write every table of a results folder, print the paper's two."""
    for table in tables.write_tables(folder, grid):
        if table.name in ("segmentation", "erosion"):
            print(table.markdown())
    print(f"more tables, also as LaTeX and CSV: {folder / 'tables'}")


def runnable_precision(wanted: str) -> str:
    """Return the autocast type of a run: fp16 needs a GPU, and without one the run says and records `no`."""
    return "no" if wanted == "fp16" and not torch.cuda.is_available() else wanted


def open_dataset(accelerator: Accelerator, arguments: argparse.Namespace, protocol: Protocol) -> RamW600:
    """Open the released data set, or make the protocol's phantom on first use."""
    if arguments.data:
        return RamW600.open(arguments.data)
    from jointwrist.phantom import PhantomConfig, write_phantom

    phantom = protocol.phantom
    root = arguments.results / f"phantom-{digest(to_dict(phantom))}"
    if accelerator.is_main_process:
        say(accelerator, f"making a phantom of {phantom.wrists} wrists in {root}")
        config = PhantomConfig(size=phantom.size, **phantom.options)
        write_phantom(root, phantom.wrists, size=phantom.size, seed=phantom.seed, config=config)
    accelerator.wait_for_everyone()
    return RamW600.open(root)


def show_list() -> int:
    """Print protocols and models."""
    for name in protocol_names():
        print(f"protocol {name}: {load_protocol(name).summary}")
    for name in list_models():
        spec = model_spec(name)
        print(f"model {name}: {spec.task}, {spec.parameters:,} parameters, {spec.published_name or 'not in the paper'}")
    return 0


def say(accelerator: Accelerator, text: str) -> None:
    """Print on the main process."""
    if accelerator.is_main_process:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
