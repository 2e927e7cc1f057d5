"""The scan benchmark times equal things, and its memory and bounds are those of its problem."""

from __future__ import annotations

import sys

import pytest
import torch

from benchmarks.speed_parts import scan as speed_scan
from benchmarks.speed_parts import scan_peers
from benchmarks.speed_parts.measurements import times_in_turns
from benchmarks.speed_parts.scan import PASSES, Problem, benchmark_scan, extra_memory, run, tensors
from jointwrist.ops.scan import available_backends

NAMES = [*available_backends("cpu"), "mambapy"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.png"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed_scan, "_memory", lambda names, problems, *_: {n: [1.0] * len(problems) for n in names})
        patch.setattr(speed_scan, "why_not_compiled", lambda: "no compiler")  # which takes a minute
        found = benchmark_scan(
            ["--lengths", "48", "96", "8192", "--states", "2", "--channels=8", "--quick", f"--plot={path}"]
        )
    assert path.read_bytes().startswith(b"\x89PNG")
    return {row["name"]: row["value"] for row in found}


def test_all_compute_the_same(rows):
    assert all(rows[f"{name} N=2 L=48 relative error"] < 1e-5 for name in NAMES)
    assert not any("8192" in name for name in rows)  # quick


def test_ratios_and_shares_follow_from_the_times(rows):
    for which in PASSES:
        times = {name: rows[f"{name} N=2 L=96 {which}"] for name in (*NAMES, "bound")}
        assert rows[f"reference to torch N=2 L=96 {which}"] == pytest.approx(times["reference"] / times["torch"])
        assert rows[f"mambapy to torch N=2 L=96 {which}"] == pytest.approx(times["mambapy"] / times["torch"])
        assert rows[f"torch N=2 L=96 {which}, bound to time"] == pytest.approx(times["bound"] / times["torch"])


def test_a_row_says_where_the_compiler_cannot_be_used(rows):
    assert [name for name in rows if "associative_scan" in name] == [
        "associative_scan cannot be compiled here (no compiler)"
    ]


@pytest.mark.parametrize("channel_last", [True, False])
@pytest.mark.parametrize("name", [*NAMES, "associative_scan"])
def test_gradients_are_those_of_the_loop(name, channel_last, monkeypatch):
    monkeypatch.setattr(scan_peers, "_compiled", lambda: scan_peers._whole)
    values = tensors(Problem(2, 8, 4, 33), channel_last)
    assert values["u"].shape == (2, 8, 33) and (values["u"].stride(1) == 1) == channel_last
    expected = run("reference", PASSES[1], values)
    for one, other in zip(run(name, PASSES[1], values), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def test_bound_counts_every_tensor_once():
    problem = Problem(3, 5, 2, 7)
    values = tensors(problem, channel_last=True)
    sequences = ("u", "delta", "B", "C")
    moved = sum(values[name].nbytes for name in sequences) + values["u"].nbytes
    assert problem.bytes("forward") == moved
    # y is written and dy read; inputs are read twice, and each has a gradient
    assert problem.bytes("forward+backward") == 3 * sum(values[n].nbytes for n in sequences) + 2 * values["u"].nbytes
    assert problem.exponentials("forward") == 3 * 5 * 2 * 7


def test_slow_ones_drop_out():
    calls = {"slow": [], "fast": []}
    functions = {
        "slow": lambda: (calls["slow"].append(0), torch.rand(200, 200).matrix_power(400)),
        "fast": lambda: calls["fast"].append(0),
    }
    times_in_turns(functions, repeats=5, seconds=1e-4)
    assert (len(calls["slow"]), len(calls["fast"])) == (1, 5)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_is_the_peak_of_the_pass(monkeypatch):
    blocks = {1024: 40, 2048: 80, 64: 1}

    def allocate(name, which, values):
        torch.ones(blocks[values["u"].shape[-1]] << 18)  # so many MiB, freed at once

    monkeypatch.setattr(speed_scan, "run", allocate)
    problems = [Problem(1, 4, 1, length) for length in (2048, 1024)]
    found = extra_memory("torch", problems, True, torch.get_num_threads())
    assert found == pytest.approx([1.048576 * 80, 1.048576 * 40], abs=4)
