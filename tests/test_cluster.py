"""Launching on many GPUs: accelerate reads the example files, and a Slurm job that is interrupted starts again."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_simple_launcher_cmd_env

from benchmarks.run_all import parse_arguments as run_all_arguments
from benchmarks.submit import Shard, main, shard_command
from jointwrist.benchmark.protocol import expand_models, load_protocol
from jointwrist.config import parse_overrides
from jointwrist.data.batches.samplers import check_processes

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "cluster"


@pytest.mark.parametrize(
    ("name", "machines", "processes", "kind"),
    [("one_gpu", 1, 1, "NO"), ("eight_gpus", 1, 8, "MULTI_GPU"), ("two_nodes", 2, 16, "MULTI_GPU")],
)
def test_accelerate_reads_the_example_files(name, machines, processes, kind):
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert (config.num_machines, config.num_processes, config.distributed_type.value) == (machines, processes, kind)
    assert not config.use_cpu and config.mixed_precision == "no"
    assert (config.main_process_ip is not None) == (machines > 1)


def test_every_example_file_is_explained():
    page = (FOLDER.parent.parent / "docs" / "scaling.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in FOLDER.glob("*.yaml"))
    assert len(files) == 3 and all(f"benchmarks/cluster/{name}" in page for name in files)


def documented(page: str) -> list[list[str]]:
    """Arguments of every launch in the page's blocks of shell."""
    blocks = re.findall(r"```sh\n(.*?)```", page.replace("\\\n", " ").replace("$i", "1"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if "accelerate launch" in line]
    return [shlex.split(line.rstrip("& ").partition("accelerate launch")[2]) for line in lines]


def test_documented_launches_have_an_image_for_every_process():
    launches = documented((FOLDER.parent.parent / "docs" / "scaling.md").read_text(encoding="utf-8"))
    seen = set()
    for arguments in launches:
        launch = launch_command_parser().parse_args(arguments)
        processes = load_config_from_file(str(FOLDER.parent.parent / launch.config_file)).num_processes
        run_all = run_all_arguments(launch.training_script_args)
        protocol, overrides = load_protocol(run_all.protocol), parse_overrides(run_all.set)
        for model in expand_models(run_all.models or protocol.models):
            config = protocol.run_config(model, 0, overrides)
            if config.task != "foundation":
                check_processes(config.optim.batch_size, processes)
        seen.add(processes)
    assert seen == {1, 8, 16}


def test_a_process_for_every_gpu_leaves_the_choice_to_the_environment(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    arguments = launch_command_parser().parse_args(["--config_file", str(FOLDER / "one_gpu.yaml"), "script.py"])
    arguments, *_ = _validate_launch_command(arguments)
    assert prepare_simple_launcher_cmd_env(arguments)[1]["CUDA_VISIBLE_DEVICES"] == "5"


@pytest.mark.parametrize(("gpus", "flag"), [(0, "--cpu"), (1, None), (4, "--multi_gpu")])
def test_shards_are_commands_that_both_programs_understand(gpus, flag):
    command = shard_command(3, 8, gpus, ["--data", "ROOT", "--protocol", "official"])
    assert command[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    launch = launch_command_parser().parse_args(command[3:])
    assert (launch.num_processes, launch.multi_gpu, launch.cpu) == (max(gpus, 1), gpus > 1, gpus == 0)
    assert flag is None or flag in command
    run_all = run_all_arguments(launch.training_script_args)
    assert (run_all.shard, run_all.protocol, str(run_all.data)) == ("3/8", "official", "ROOT")


def test_dry_run_prints_the_batch_script_and_submits_nothing(capsys, tmp_path):
    pytest.importorskip("submitit")
    options = [
        "--shards=8",
        "--gpus=2",
        "--hours=12",
        "--partition=long",
        "--qos=low",
        "--constraint=a100",
        "--setup=module load cuda",
        "--setup=export A=1",
        "--dry-run",
        f"--logs={tmp_path / 'logs'}",
    ]
    assert main([*options, "--", "--protocol", "official"]) == 0
    lines = capsys.readouterr().out.splitlines()
    asked = {"--array=0-7%8", "--gpus-per-node=2", "--time=720", "--partition=long", "--signal=USR2@180"}
    asked |= {"--qos=low", "--constraint=a100"}
    assert lines.index("module load cuda") < lines.index("export A=1") < len(lines) - 3
    assert asked <= {line.removeprefix("#SBATCH ") for line in lines}
    assert lines[-1].endswith("--protocol official --shard 1/8")
    assert not (tmp_path / "logs").exists()


PROGRAM = """
import os, pathlib, signal, sys, time
log = pathlib.Path(sys.argv[1])
first = not log.exists()
def end(*_):
    log.write_text("saved ")
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
if first:
    note = pathlib.Path(sys.argv[1] + ".new")
    note.write_text(str(os.getppid()))
    note.rename(sys.argv[1] + ".started")
    time.sleep(60)
log.write_text(log.read_text() + "finished")
"""


def local(folder):
    submitit = pytest.importorskip("submitit")
    executor = submitit.LocalExecutor(folder, max_num_timeout=2)
    executor.update_parameters(timeout_min=5)
    return executor


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="Slurm's signals")
def test_an_interrupted_job_saves_and_starts_again(tmp_path):
    log = tmp_path / "log"
    job = local(tmp_path / "jobs").submit(Shard([sys.executable, "-c", PROGRAM, str(log)]))
    started = tmp_path / "log.started"
    until(started.exists)
    os.kill(int(started.read_text()), signal.SIGUSR2)  # as Slurm does
    assert job.result() == 0
    assert log.read_text() == "saved finished"


def test_a_failed_job_says_with_which_command(tmp_path):
    job = local(tmp_path).submit(Shard([sys.executable, "-c", "raise SystemExit(3)"]))
    assert "ended with code 3" in str(job.exception())


def test_without_submitit_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main(["--dry-run"]) == 2
    assert ".[slurm]" in capsys.readouterr().err
