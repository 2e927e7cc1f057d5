"""Run the benchmark as an array of Slurm jobs, each a shard of the runs; needs the extra `slurm` (submitit).

    python benchmarks/submit.py --shards 8 --partition gpu --hours 24 -- --data RAM-W600 --protocol official
    python benchmarks/submit.py --shards 8 --dry-run -- --data RAM-W600      print the batch script, submit nothing
    python benchmarks/submit.py --shards 2 --gpus 0 --cluster local -- ...   the same on this machine, without Slurm

Options after `--` are passed to benchmarks/run_all.py. A job that is preempted or reaches its time limit saves its
state, goes back into the queue and continues from there. All shards write to one results folder.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jointwrist.errors import MissingExtraError, require

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

ROOT = Path(__file__).resolve().parent.parent
#: Seconds between Slurm's warning and the end of a job, and those of them that a run has to save its state.
WARNING, GRACE = 180, 120


class Shard:
    """One job of the array: a command that starts again after an interruption.

    Args:
        command: Program and arguments.
    """

    def __init__(self, command: list[str]):
        self.command = command

    def __call__(self) -> int:
        """Run the command.

        Raises:
            RuntimeError: Its exit code is not 0.
        """
        # Slurm signals every process of a job; only this one may react, and `checkpoint` then ends the group
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
        )
        # not wait(): it holds a lock that the wait in `checkpoint`, called by a signal handler, needs
        while self.process.poll() is None:
            time.sleep(0.5)
        code = self.process.returncode
        if code:
            raise RuntimeError(f"{shlex.join(self.command)} ended with code {code}; its log is above")
        return code

    def checkpoint(self) -> DelayedSubmission:
        """End the command and return its restart; submitit calls this when the job is interrupted."""
        from submitit.helpers import DelayedSubmission

        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        return DelayedSubmission(Shard(self.command))


def shard_command(index: int, shards: int, gpus: int, options: list[str]) -> list[str]:
    """Command of one shard, counted from 1: run_all under accelerate's launcher."""
    launch = ["--num_processes", str(max(gpus, 1)), "--num_machines", "1", "--dynamo_backend", "no"]
    launch += ["--mixed_precision", "no", *(["--cpu"] if gpus == 0 else ["--multi_gpu"] if gpus > 1 else [])]
    run_all = [str(ROOT / "benchmarks" / "run_all.py"), *options, "--shard", f"{index}/{shards}"]
    return [sys.executable, "-m", "accelerate.commands.launch", *launch, *run_all]


def slurm_parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """Resources of every job of the array, by submitit's names."""
    asked = {
        "job_name": "jointwrist",
        "time": round(60 * arguments.hours),
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": arguments.cpus,
        "gpus_per_node": arguments.gpus or None,
        "mem": arguments.memory,
        "partition": arguments.partition,
        "account": arguments.account,
        "qos": arguments.qos,
        "constraint": arguments.constraint,
        "setup": arguments.setup or None,
        "signal_delay_s": WARNING,
    }
    return {key: value for key, value in asked.items() if value is not None}


def script(arguments: argparse.Namespace) -> str:
    """Batch script of the array, and the command of its first shard."""
    from submitit.slurm.slurm import _make_sbatch_string

    loader = shlex.join([sys.executable, "-u", "-m", "submitit.core._submit", str(arguments.logs)])
    text = _make_sbatch_string(loader, arguments.logs, map_count=arguments.shards, **slurm_parameters(arguments))
    first = shlex.join(shard_command(1, arguments.shards, arguments.gpus, arguments.options))
    return f"{text}\n# first job of the array:\n# {first}"


def submit(arguments: argparse.Namespace) -> list[Any]:
    """Submit the array; return submitit's jobs."""
    import submitit

    if arguments.cluster == "slurm":
        executor = submitit.SlurmExecutor(arguments.logs, max_num_timeout=arguments.requeues)
        executor.update_parameters(**slurm_parameters(arguments))
    else:
        executor = submitit.LocalExecutor(arguments.logs, max_num_timeout=arguments.requeues)
        executor.update_parameters(timeout_min=round(60 * arguments.hours), signal_delay_s=WARNING)
    commands = [
        shard_command(index, arguments.shards, arguments.gpus, arguments.options)
        for index in range(1, arguments.shards + 1)
    ]
    with executor.batch():
        jobs = [executor.submit(Shard(command)) for command in commands]
    return jobs


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=4, metavar="N", help="jobs of the array (default: %(default)s)")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs of a job, which share a run (default: %(default)s)")
    parser.add_argument("--cpus", type=int, default=8, help="processor cores of a job (default: %(default)s)")
    parser.add_argument("--memory", default="32GB", help="memory of a job (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=24.0, help="time limit of a job (default: %(default)s)")
    parser.add_argument("--requeues", type=int, default=20, help="restarts after the time limit (default: %(default)s)")
    parser.add_argument("--partition", help="Slurm partition")
    parser.add_argument("--account", help="Slurm account")
    parser.add_argument("--qos", help="Slurm quality of service")
    parser.add_argument("--constraint", help="features of the nodes, such as a100")
    parser.add_argument(
        "--setup",
        action="append",
        metavar="LINE",
        help="line of the batch script before the command, such as 'module load cuda'; may be given again",
    )
    parser.add_argument("--cluster", choices=("slurm", "local"), default="slurm", help="default: %(default)s")
    parser.add_argument("--logs", type=Path, default=Path("results/slurm"), help="default: %(default)s")
    parser.add_argument("--dry-run", action="store_true", help="print the batch script, submit nothing")
    parser.add_argument("options", nargs="*", metavar="-- OPTIONS", help="options of benchmarks/run_all.py")
    arguments = parser.parse_args(argv)
    if arguments.shards < 1:
        parser.error("--shards must be at least 1")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Submit, or print what would be submitted; with `--cluster local` wait for the end."""
    arguments = parse_arguments(argv)
    try:
        require("submitit", "slurm")
    except MissingExtraError as error:
        print(f"submit: {error}", file=sys.stderr)
        return 2
    if arguments.dry_run:
        print(script(arguments))
        return 0
    jobs = submit(arguments)
    print(f"{len(jobs)} jobs: {', '.join(job.job_id for job in jobs)}; logs: {arguments.logs}")
    if arguments.cluster == "local":
        for job in jobs:
            job.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
