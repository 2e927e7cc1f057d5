"""`benchmarks/finetune_sizes.py`: what is compared with what, and a table of the rows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks import finetune_sizes as benchmark
from jointwrist.engine.results.changes import measure_changes


def results(patients, better):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"case": f"c{number}", "patient": f"p{number}", "kind": "bone", "region": "a", "dsc": 0.8, "nsd": rng.random()}
        for number in range(patients)
    )
    return {"segmentation": rows.assign(dsc=rows["dsc"] + better)}


@pytest.fixture
def known(monkeypatch):
    """Fine-tunings that add 3 points on the folds and 5 on further phantoms; the phantoms that were asked for."""
    made = []

    def finetune(root, out, weights, values, folds):
        assert folds == 3 and weights == "start" and values == {"optim": {"epochs": 2}}
        changes = measure_changes(results(12, 0.0), results(12, 0.03))
        return SimpleNamespace(weights=out / "best.safetensors", changes=tuple(changes))

    def evaluate(weights, data, split, values):
        assert data.name == "test" and split == "all"
        return results(9, 0.0 if weights == "start" else 0.05)

    monkeypatch.setattr(benchmark, "write_phantom", lambda root, *rest: made.append((root.name, *rest)))
    monkeypatch.setattr(benchmark, "finetune", finetune)
    monkeypatch.setattr(benchmark, "evaluate", evaluate)
    return made


def test_figures_before_and_after_stand_beside_each_other(known, tmp_path, capsys):
    options = ["--test", "9", "--size", "96", "--weights", "start", "--set", "optim.epochs=2", "-o", str(tmp_path)]
    assert benchmark.main(["--wrists", "12", "40", *options]) == 0
    header, _, *lines = capsys.readouterr().out.strip().splitlines()
    assert header.split(" | ")[0] == "| wrists" and len(lines) == 8
    assert lines[0] == (
        "| 12 | folds, 12 | DSC % | 80.00 [80.00, 80.00] | 83.00 [83.00, 83.00] | +3.00 [+3.00, +3.00] |"
    )
    assert lines[2].startswith("| 12 | further phantoms, 9 | DSC % |") and "+5.00" in lines[2]
    assert lines[4].startswith("| 40 |")
    assert [(name, wrists) for name, wrists, *_ in known] == [("test", 9), ("wrists12", 12), ("wrists40", 40)]
    seeds = {name: seed for name, _, _, seed, _ in known}
    assert seeds["test"] != seeds["wrists12"] == seeds["wrists40"]
    assert all(config.projections == 1 for *_, config in known)
