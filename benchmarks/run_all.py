"""Reproduce the paper's tables and add the joint network to them.

    accelerate launch benchmarks/run_all.py                   a demonstration on a phantom, about 15 minutes
    accelerate launch benchmarks/run_all.py --data RAM-W600   the same models on the released dataset
    accelerate launch benchmarks/run_all.py --list            protocols and models

Finished jobs are skipped and a killed one continues, so the same command can be given again at any time.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jointwrist.openmp import share_cores

share_cores()  # first: the imports below load PyTorch
if __name__ == "__main__" and os.environ.get("RANK", "0") == "0":
    print("run_all: loading ...", file=sys.stderr, flush=True)

from jointwrist.benchmark import plots, tables
from jointwrist.benchmark.equal_time import equal_time
from jointwrist.benchmark.forecast import forecast
from jointwrist.benchmark.image_grid import measure_radiographs
from jointwrist.benchmark.jobs import Job, shard
from jointwrist.benchmark.protocol import expand_models, load_protocol, protocol_names
from jointwrist.benchmark.protocol_dataset import open_dataset, phantom_folder
from jointwrist.benchmark.report import write_report
from jointwrist.benchmark.run_jobs import check_shares, make_jobs, run_jobs, runnable_precision, say
from jointwrist.commands.messages import is_main_process, print_log
from jointwrist.commands.options import OldName, seed_number
from jointwrist.config import ConfigError, parse_overrides
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.renamed_keys import current_keys
from jointwrist.engine.processes.session import open_accelerator
from jointwrist.engine.processes.stop import SIGNALS, graceful_stop
from jointwrist.errors import DataError, StorageError
from jointwrist.files import check_writable
from jointwrist.registry import list_models, load_plugin, model_spec


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
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="module, such as my_package.models, or Python file that registers models of your own",
    )
    parser.add_argument("--seeds", nargs="+", type=seed_number, metavar="N", help="seeds instead of the protocol's")
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
        "--minutes",
        type=float,
        metavar="M",
        help="train every network for M minutes: its epochs follow from a measured step, and are kept in the results",
    )
    parser.add_argument(
        "--tracker", metavar="NAME", help="tensorboard, wandb, mlflow, trackio or another tracker of accelerate"
    )
    parser.add_argument("--retry", action="store_true", help="run failed jobs again")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="list the jobs and what is done; measure a training step of the rest for their time and memory; a phantom"
        " that is not there yet is not made",
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
    parser.add_argument(
        "--no-postprocess",
        dest="postprocess",
        action="store_false",
        help="with --grid image: masks without postprocessing",
    )
    parser.add_argument("--raw", dest="postprocess", nargs=0, const=False, action=OldName, new="--no-postprocess")
    parser.add_argument("--list", action="store_true", help="list protocols and models, run nothing")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return 1 if a job failed, 2 if it could not begin."""
    arguments = parse_arguments(argv)
    print_log()
    try:
        for source in arguments.plugin:
            load_plugin(source)
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
    except SystemExit as stop:
        if stop.code in {128 + number for number in SIGNALS} and is_main_process():
            print("run_all: stopped; give the same command again to continue", file=sys.stderr)
        raise


def run(arguments: argparse.Namespace) -> int:
    """Run the jobs of a protocol that are not done, then write tables and pictures."""
    grid = wanted_grid(arguments)
    protocol = load_protocol(arguments.protocol)
    models = expand_models(arguments.models or protocol.models)
    overrides = current_keys(parse_overrides(arguments.set), "--set")
    overrides["precision"] = runnable_precision(protocol.run_config(models[0], 0, overrides).precision)
    check_writable(arguments.results)
    accelerator = open_accelerator(overrides["precision"], arguments.tracker, arguments.results)
    seeds = arguments.seeds or protocol.seeds
    made = arguments.data or phantom_folder(protocol.phantom, arguments.results)
    if arguments.dry_run and not made.exists():
        say(accelerator, f"{protocol.name}: {protocol.summary}")
        say(accelerator, f"  data: a phantom of {protocol.phantom.wrists} wrists, to be made in {made}")
        for model in models:
            say(accelerator, f"  {model}, seeds {', '.join(map(str, seeds))}: to do")
        return 0
    dataset = open_dataset(accelerator, arguments.data, protocol.phantom, arguments.results)
    name = re.sub(r"\W+", "_", dataset.name.lower())
    folder = arguments.results / f"{protocol.name}-{name}"
    if arguments.minutes:
        kept = folder / "equal_time.json"
        protocol = equal_time(accelerator, protocol, models, arguments.minutes, overrides, dataset, kept)
    jobs = shard(make_jobs(protocol, models, seeds, overrides, dataset, folder), arguments.shard)
    say(accelerator, f"{protocol.name}: {protocol.summary}")
    for job in jobs:
        record = job.record
        say(accelerator, f"  {job.folder.name}: {record['status'] if record else 'to do'}")
    check_shares(jobs, accelerator.num_processes)
    if arguments.dry_run:
        if not arguments.no_measure:
            forecast(accelerator, jobs, dataset)
        return 0
    elsewhere = run_jobs(accelerator, jobs, dataset, arguments.retry)
    if grid != "network":
        measure_radiographs(accelerator, jobs, dataset, grid)
    accelerator.end_training()  # first, so that no process waits for the tables with a time limit running
    if accelerator.is_main_process and any(job.record for job in jobs):
        finish(folder, jobs, dataset)
        if grid != "network":
            print_tables(folder, grid)
    return 0 if all(job.done for job in jobs if job not in elsewhere) else 1


def wanted_grid(arguments: argparse.Namespace) -> str:
    """Return the grid of `GRIDS` that the command line asks for.

    Raises:
        ConfigError: `--no-postprocess` without `--grid image`.
    """
    if arguments.postprocess:
        return arguments.grid
    if arguments.grid == "network":
        raise ConfigError("--no-postprocess is for --grid image: on the network's grid masks are not postprocessed")
    return "image-raw"


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
    print(f"more tables, also as LaTeX and CSV: {folder / 'tables'}; what the columns mean: docs/demonstration.md")


def show_list() -> int:
    """Print protocols and models."""
    for name in protocol_names():
        print(f"protocol {name}: {load_protocol(name).summary}")
    for name in list_models():
        spec = model_spec(name)
        print(f"model {name}: {spec.task}, {spec.parameters:,} parameters, {spec.published_name or 'not in the paper'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
