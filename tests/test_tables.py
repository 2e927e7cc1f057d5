"""Tables as pure functions of rows: against pandas, scipy and sklearn; published rows, absent models, three formats."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.run_all import main
from jointwrist.anatomy import BONE_NAMES, JOINT_NAMES, OVERLAP_PAIRS, load_anatomy
from jointwrist.benchmark.tables import make_tables, read_results, write_tables
from jointwrist.benchmark.tables.cells import Figure, PValue
from jointwrist.benchmark.tables.results import common_cases, published_figures
from jointwrist.benchmark.tables.segmentation import case_means, mean_table
from jointwrist.benchmark.tables.table import Table
from jointwrist.errors import DataError
from jointwrist.metrics import statistics
from jointwrist.registry import list_models

CASES = [(f"c{i}", f"p{i // 2}", i % 3 == 0) for i in range(24)]
OVERLAPS = [f"{BONE_NAMES[a]}&{BONE_NAMES[b]}" for a, b in OVERLAP_PAIRS]
QUALITY = {"unetpp": 0.9, "jointwrist_tiny": 0.95, "unet": 0.9}


def bones(model: str, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng([seed, len(model)])
    rows = []
    for case, patient, eroded in CASES:
        for kind, names in (("bone", BONE_NAMES), ("overlap", OVERLAPS)):
            dsc = np.clip(QUALITY[model] - 0.05 * eroded + rng.normal(0, 0.02, len(names)), 0, 1)
            rows += [
                {"case": case, "patient": patient, "side": "L", "eroded": eroded, "kind": kind, "region": name,
                 "dsc": d, "nsd": d - 0.1, "voe": 1 - d, "msd": 10 * (1 - d)}
                for name, d in zip(names, dsc, strict=True)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def calls(model: str, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 9, len(model)])
    truth = np.random.default_rng(7).choice([0, 0, 1, 2], (len(CASES), len(JOINT_NAMES)))
    signal = 0.4 if model == "jointwrist_tiny" else 0.0
    rows = [
        {"case": case, "patient": patient, "side": "L", "joint": joint, "score": int(truth[i, j]),
         "probability": np.clip(rng.random() * (1 - signal) + signal * (truth[i, j] > 0), 0, 1), "found": True}
        for i, (case, patient, _) in enumerate(CASES) for j, joint in enumerate(JOINT_NAMES)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.assign(level=(frame["probability"] > 0.5).astype(int), predicted=frame["probability"] > 0.5).astype(
        {"predicted": int}
    )


def write_job(folder: Path, model: str, seed: int, tables: dict[str, pd.DataFrame], **changes) -> None:
    config = {"image_size": 128, "seed": seed, "metrics": changes.pop("metrics", {}), **changes.pop("config", {})}
    record = {
        "model": model, "seed": seed, "protocol": "demo", "status": "ok", "data": "phantom", "data_digest": "d",
        "parameters": 2_411_896, "config": config, "seconds": 1.0, "machine": "test", **changes,
    }  # fmt: skip
    job = folder / "jobs" / f"{model}-seed{seed}-{len(list(folder.glob('jobs/*'))):012d}"
    job.mkdir(parents=True)
    (job / "job.json").write_text(json.dumps(record))
    for name, frame in tables.items():
        frame = frame.assign(model=model, protocol="demo", seed=seed)
        (job / f"{name}.csv").parent.mkdir(exist_ok=True)
        frame.to_csv(job / f"{name}.csv", index=False)


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    """A tenth of the resamples: their number is not the subject, and the tables are made many times."""
    draw = statistics._resamples
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "_resamples", lambda patients, resamples, seed: draw(patients, resamples // 10, seed))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for seed in (1, 2):
        write_job(folder, "unetpp", seed, {"segmentation": bones("unetpp", seed)})
        write_job(folder, "mobilenet", seed, {"erosion": calls("mobilenet", seed)})
        joint = {"segmentation": bones("jointwrist_tiny", seed), "erosion": calls("jointwrist_tiny", seed)}
        write_job(folder, "jointwrist_tiny", seed, joint, pixel_truth=True)
    write_job(folder, "resnet", 1, {}, status="error", error="ValueError: broken\nmore")
    return folder


@pytest.fixture(scope="module")
def tables(folder) -> dict[str, Table]:
    return {table.name: table for table in make_tables(read_results(folder))}


def line(table: Table, model: str, **where) -> dict:
    rows = [r for r in table.rows if f"`{model}`" in r["Model"] and all(r[k] == v for k, v in where.items())]
    assert len(rows) == 1
    return rows[0]


def test_segmentation_figures_are_those_of_pandas(tables):
    rows = pd.concat(bones("unetpp", seed).assign(seed=seed) for seed in (1, 2))
    means = rows[rows["kind"] == "bone"].groupby(["seed", "case"])["dsc"].mean().groupby("seed").mean() * 100
    figure = line(tables["segmentation"], "unetpp")["DSC %"]
    assert (figure.mean, figure.sd) == pytest.approx((means.mean(), means.std()))
    assert figure.low < figure.mean < figure.high and figure.high - figure.low < 4
    assert str(figure).startswith(f"{means.mean():.2f} ± {means.std():.2f} [")


def test_there_are_no_published_figures_of_other_bones():
    assert published_figures("segmentation") and published_figures("erosion", load_anatomy("wrist_narrowing"))
    assert published_figures("segmentation", load_anatomy("mcp")) == {}


def test_published_figures_stand_apart_and_are_compared_with_real_radiographs_only(tables):
    row = line(tables["segmentation"], "unetpp")
    assert row["DSC %"].published == 97.33
    frame = tables["segmentation"].frame
    marked = frame["Model"].str.startswith("published: ")
    assert marked.sort_values(kind="stable").index.equals(frame.index)  # they come last
    text = frame.set_index("Model")
    published = text.loc["published: Unet++ (`unetpp`)"]
    assert published["DSC %"] == "97.33" and published["p (DSC)"] == "-"
    assert text.loc["published: SwinUMamba (`swin_umamba`)", "DSC %"] == "97.75"
    assert text.loc["published: SAM-box (`sam_box`)", "DSC %"] == "88.74"
    assert "published: `jointwrist_tiny`" not in text.index
    assert not any("difference" in column for column in tables["segmentation"].csv_frame())
    real = row["DSC %"].with_published(97.33, comparable=True)
    assert real.published_text() == f"97.33 ({row['DSC %'].mean - 97.33:+.2f})"
    assert not any("published" in name for name in tables["overlap"].frame["Model"])


def test_what_was_not_run_is_one_line(tables):
    ran = tables["segmentation"].frame["Model"]
    shown = {m for task in ("segmentation", "foundation", "joint") for m in list_models(task=task)}
    (note,) = [note for note in tables["segmentation"].notes if note.startswith("Not run: ")]
    models = [name for name in shown if f"`{name}`" in note]
    assert len(models) + sum(not name.startswith("published: ") for name in ran) == len(shown)
    assert note in tables["segmentation"].markdown() and r"\texttt{swin\_umamba}" in tables["segmentation"].latex()
    assert str(line(tables["erosion"], "resnet")["BACC %"]) == "failed"
    assert str(line(tables["erosion"], "medmamba")["BACC %"]) == "not run"


def test_a_finished_job_without_results_is_named(tmp_path):
    write_job(tmp_path, "unetpp", 1, {"segmentation": bones("unetpp", 1)})
    write_job(tmp_path, "pan", 1, {})
    with pytest.raises(DataError, match="pan-seed1-000000000001: is said to be finished, but holds no results"):
        read_results(tmp_path)
    assert not read_results(tmp_path, "image").records, "jobs that were not measured on that grid are not in its tables"


def test_p_values_against_the_best_of_one_seed_are_those_of_scipy(tmp_path):
    for model in ("unetpp", "jointwrist_tiny"):
        write_job(tmp_path, model, 1, {"segmentation": bones(model, 1)})
    found = {table.name: table for table in make_tables(read_results(tmp_path))}
    patient = {m: bones(m, 1).query("kind == 'bone'").groupby("patient")["dsc"].mean() for m in QUALITY}
    expected = stats.wilcoxon(patient["unetpp"], patient["jointwrist_tiny"]).pvalue
    row = line(found["segmentation"], "unetpp")
    assert row["p (DSC)"].value == pytest.approx(expected)
    assert str(row["DSC %"]).endswith("]†") and "† one seed" in found["segmentation"].caption


def test_p_values_of_several_seeds_count_the_seeds(tables):
    row = line(tables["comparison"], "unetpp", Metric="DSC %")
    mean = {m: [bones(m, s).query("kind == 'bone'")["dsc"].mean() for s in (1, 2)] for m in QUALITY}
    gap = stats.ttest_rel(mean["unetpp"], mean["jointwrist_tiny"])
    seeds = gap.confidence_interval()
    assert row["difference"].low < 100 * seeds.low and row["difference"].high > 100 * seeds.high
    assert row["p"].value > gap.pvalue and row["p"].value == line(tables["segmentation"], "unetpp")["p (DSC)"].value
    assert line(tables["segmentation"], "jointwrist_tiny")["p (DSC)"] == "best"
    assert "†" not in str(row["difference"])
    row = line(tables["comparison"], "unetpp", Metric="MSD px")
    assert row["best"] == "`jointwrist_tiny`" and row["difference"].mean > 0


def test_overlaps_are_compared_with_the_best_model_too(tables):
    table = tables["overlap_comparison"]
    assert {row["Metric"] for row in table.rows} == {"DSC %", "NSD %", "VOE %"}
    row = line(table, "unetpp", Metric="DSC %")
    means = [
        np.mean([bones(m, s).query("kind == 'overlap'").groupby("case")["dsc"].mean().mean() for s in (1, 2)])
        for m in ("unetpp", "jointwrist_tiny")
    ]
    assert row["best"] == "`jointwrist_tiny`" and row["difference"].mean == pytest.approx(100 * (means[0] - means[1]))


def test_missed_regions_are_counted_among_those_that_the_truth_has(tmp_path):
    rows = bones("unetpp", 1)
    overlaps = rows["kind"] == "overlap"
    absent, missed = overlaps & (rows["case"] == "c0"), overlaps & (rows["case"] == "c1")
    rows.loc[absent, ["dsc", "voe", "nsd", "msd"]] = [np.nan, np.nan, 0, np.inf]  # drawn where there is none
    rows.loc[missed, ["dsc", "voe", "nsd", "msd"]] = [0, 1, 0, np.inf]
    write_job(tmp_path, "unetpp", 1, {"segmentation": rows})
    table = mean_table(read_results(tmp_path), "overlap")
    assert f"missed: of {23 * len(OVERLAPS)} regions" in table.caption
    assert line(table, "unetpp")["missed"] == str(len(OVERLAPS))


def test_models_are_compared_over_the_seeds_that_both_have(tmp_path):
    for model, seeds in (("unetpp", (1, 2, 3)), ("jointwrist_tiny", (2,)), ("unet", (4,))):
        for seed in seeds:
            write_job(tmp_path, model, seed, {"segmentation": bones(model, seed)})
    table = {table.name: table for table in make_tables(read_results(tmp_path))}["comparison"]
    row = line(table, "unetpp", Metric="DSC %")
    means = [bones(m, 2).query("kind == 'bone'")["dsc"].mean() for m in ("unetpp", "jointwrist_tiny")]
    assert row["difference"].mean == pytest.approx(100 * (means[0] - means[1]))
    assert str(row["difference"]).endswith("†")
    assert str(line(table, "unet", Metric="DSC %")["difference"]) == "undefined"


def test_holm_counts_the_other_models(folder, tmp_path):
    for model in QUALITY:
        write_job(tmp_path, model, 1, {"segmentation": bones(model, 1)})
    table = mean_table(read_results(tmp_path))
    patient = {m: bones(m, 1).query("kind == 'bone'").groupby("patient")["dsc"].mean() for m in QUALITY}
    raw = sorted(stats.wilcoxon(patient[m], patient["jointwrist_tiny"]).pvalue for m in ("unetpp", "unet"))
    adjusted = sorted(line(table, m)["p (DSC)"].value for m in ("unetpp", "unet"))
    assert adjusted == pytest.approx([2 * raw[0], max(2 * raw[0], raw[1])])


def test_wrists_with_and_without_erosion(tables):
    row = line(tables["eroded_wrists"], "unetpp", Metric="DSC %")
    rows = pd.concat(bones("unetpp", seed) for seed in (1, 2)).query("kind == 'bone'")
    cases = rows.groupby(["case", "eroded"])["dsc"].mean().reset_index()
    groups = [cases.loc[cases["eroded"] == e, "dsc"] for e in (True, False)]
    assert (row["eroded wrists"], row["other wrists"]) == (8, 16)
    assert 0 < row["p"].value < 0.05
    assert row["difference"].mean == pytest.approx(100 * (groups[0].mean() - groups[1].mean()))
    assert row["difference"].high < 0 and row["p (Holm)"].value >= row["p"].value


def test_erosion_figures_are_those_of_sklearn(tables):
    metrics = pytest.importorskip("sklearn.metrics")
    by_seed, by_joint = [], []
    for seed in (1, 2):
        frame = calls("mobilenet", seed)
        truth = frame["score"] > 0
        by_seed.append(metrics.balanced_accuracy_score(truth, frame["predicted"]))
        lunate = frame["joint"] == "Lunate"
        by_joint.append(metrics.roc_auc_score(truth[lunate], frame.loc[lunate, "probability"]))
    figure = line(tables["erosion_pooled"], "mobilenet")["BACC %"]
    assert (figure.mean, figure.sd) == pytest.approx((100 * np.mean(by_seed), 100 * np.std(by_seed, ddof=1)))
    assert figure.low < figure.mean < figure.high
    single = line(tables["joints"], "mobilenet", Joint="Lunate")
    assert single["AUROC"].mean == pytest.approx(np.mean(by_joint))
    mean = np.mean([r["AUROC"].mean for r in tables["joints"].rows if "mobilenet" in r["Model"]])
    assert line(tables["erosion"], "mobilenet")["AUROC"].mean == pytest.approx(mean)
    assert line(tables["erosion"], "jointwrist_tiny")["p (BACC)"] == "best"
    assert line(tables["erosion"], "mobilenet")["p (BACC)"].value < 0.05


def test_tables_of_the_image_grid_stand_apart_with_figures_in_mm_and_of_third_parties(folder, tmp_path):
    """Of a region that was missed, MSD is the diagonal of its own radiograph."""
    copy = tmp_path / "results"
    shutil.copytree(folder, copy)
    with pytest.raises(DataError, match="image-raw"):
        write_tables(copy, "image-raw")
    for model in ("unetpp", "jointwrist_tiny"):
        for seed in (1, 2):
            frame = bones(model, seed).assign(model=model, seed=seed, diagonal_px=850.0, spacing_mm=2.0)
            frame = frame.assign(nsd_mm=frame["nsd"] - 0.1, msd_mm=2 * frame["msd"])
            lost = (frame["case"] == "c0") & (frame["region"] == "Lunate")
            frame.loc[lost, ["dsc", "nsd", "nsd_mm"]], frame.loc[lost, ["msd", "msd_mm"]] = 0.0, np.inf
            job = next(copy.glob(f"jobs/{model}-seed{seed}-*"))
            (job / "image").mkdir()
            frame.to_csv(job / "image" / "segmentation.csv", index=False)
    write_tables(copy)
    before = (copy / "README.md").read_text()
    found = {table.name: table for table in write_tables(copy, "image")}
    assert (copy / "README.md").read_text() == before and "masks measured at this size" in before
    assert (copy / "README-image.md").is_file() and (copy / "tables-image" / "segmentation.csv").is_file()
    table = found["segmentation"]
    assert "radiographs' own pixels" in table.caption and "erosion" not in found
    row = line(table, "unetpp")
    rows = pd.concat(bones("unetpp", seed) for seed in (1, 2)).query("kind == 'bone'")
    msd = rows["msd"].where((rows["case"] != "c0") | (rows["region"] != "Lunate"), 850.0).mean()
    assert row["MSD px"].mean == pytest.approx(msd) and row["MSD(mm)"].mean == pytest.approx(2 * msd)
    assert row["MSD(mm)"].low < row["MSD(mm)"].mean < row["MSD(mm)"].high
    assert row["DSC %"].published_text() == "-"
    text = table.frame.set_index("Model")
    assert text.loc["published: nnU-Net, third party", "DSC %"] == "97.94"
    assert not any("sam" in model for model in text.index)
    assert main(["--tables-only", str(copy), "--grid", "image"]) == 0
    assert main(["--tables-only", str(copy), "--no-postprocess"]) == 2


def test_captions_name_data_protocol_prompts_and_seeds(tables):
    for name, table in tables.items():
        if name != "jobs":
            for part in ("phantom", "protocol demo", "128 px", "seeds 1, 2", "no prompts", "24 test wrists of 12 pat"):
                assert part in table.caption, name
    assert "box" in tables["segmentation"].caption and "published" in tables["erosion"].caption
    learned = "Trained on eroded pixels as well as scores: `jointwrist_tiny`."
    assert [name for name, table in tables.items() if learned in table.caption] == ["erosion", "erosion_pooled"]


def test_per_bone_means_average_to_the_table(tables):
    single = [r["DSC %"].mean for r in tables["bones"].rows if "unetpp" in r["Model"]]
    assert len(single) == 14 and np.mean(single) == pytest.approx(line(tables["segmentation"], "unetpp")["DSC %"].mean)


@pytest.mark.parametrize("official", [True, False])
def test_case_means_follow_the_metrics_of_the_configuration(official, tmp_path):
    rows = bones("unetpp", 1)
    rows.loc[0, ["dsc", "nsd", "voe", "msd"]] = 0.0, 0.0, 1.0, np.inf
    rows.loc[30, ["dsc", "nsd", "voe", "msd"]] = np.nan, np.nan, np.nan, np.nan
    chosen = {"missed_msd": "left_out", "undefined": "case_undefined"} if official else {}
    write_job(tmp_path, "unetpp", 1, {"segmentation": rows}, metrics=chosen)
    means = case_means(read_results(tmp_path), "bone").set_index("case")
    for case in ("c0", "c1", "c2"):
        part = rows[(rows["case"] == case) & (rows["kind"] == "bone")]
        for key in ("dsc", "nsd", "voe"):
            # numpy's mean of an undefined figure is undefined, as in the authors' code
            expected = part[key].to_numpy().mean() if official else np.nanmean(part[key])
            assert means.loc[case, key] == pytest.approx(expected, nan_ok=True)
        assert means.loc[case, "missed"] == (case == "c0")
    missed = rows[(rows["case"] == "c0") & (rows["kind"] == "bone")]["msd"]
    filled = missed[np.isfinite(missed)] if official else missed.replace(np.inf, 128 * np.sqrt(2))
    assert means.loc["c0", "msd"] == pytest.approx(filled.mean())


def test_only_common_cases_are_compared(tmp_path):
    write_job(tmp_path, "unetpp", 1, {"segmentation": bones("unetpp", 1)})
    fewer = bones("unet", 1)
    write_job(tmp_path, "unet", 1, {"segmentation": fewer[fewer["case"] != "c3"]})
    results = read_results(tmp_path)
    assert results.left_out["segmentation"] == 1 and "c3" not in set(results.per_case["segmentation"]["case"])
    assert "Left out: 1 wrist that only some" in mean_table(results).caption
    assert len(common_cases(results.per_case["segmentation"])) == len(results.per_case["segmentation"])


def test_configurations_of_one_model_are_kept_apart_and_other_data_is_refused(tmp_path):
    write_job(tmp_path, "unetpp", 1, {"segmentation": bones("unetpp", 1)})
    write_job(tmp_path, "unetpp", 1, {"segmentation": bones("unetpp", 2)}, config={"lr": 1})
    labels = [row["Model"] for row in mean_table(read_results(tmp_path)).rows if "`unetpp`" in row["Model"]]
    assert ["lr=default" in label for label in labels].count(True) == 1
    assert ["lr=1" in label for label in labels].count(True) == len(labels) - 1 == 1
    settings = {f"setting_{number}": "a value" for number in range(4)}
    write_job(tmp_path, "unetpp", 1, {"segmentation": bones("unetpp", 3)}, config=settings)
    labels = [row["Model"] for row in mean_table(read_results(tmp_path)).rows if "`unetpp" in row["Model"]]
    assert len(labels) == len(set(labels)) == 3 and not any("setting" in label for label in labels)
    write_job(tmp_path, "unet", 1, {"segmentation": bones("unet", 1)}, data_digest="other")
    with pytest.raises(DataError, match="different data"):
        read_results(tmp_path)


def test_figures_and_p_values_as_text():
    assert str(Figure.over_seeds([1.0])) == "1.00" and str(Figure.over_seeds([1.0, 3.0])) == "2.00 ± 1.41"
    assert str(Figure.over_seeds([np.nan])) == "undefined"
    assert str(Figure(1.0, low=0.5, high=2.0)) == "1.00 [0.50, 2.00]"
    assert [str(PValue(p)) for p in (0.0001, 0.0421, np.nan)] == ["< 0.001", "0.042", "-"]


def test_markdown_latex_and_csv_hold_the_same(tables):
    table = tables["segmentation"]
    markdown = [row for row in table.markdown().splitlines() if row.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in markdown]
    assert cells[0] == list(table.frame.columns) and cells[2:] == table.frame.to_numpy().tolist()
    latex = table.latex()
    body = latex[latex.index(r"\midrule") : latex.index(r"\bottomrule")].splitlines()[1:]
    assert len(body) == len(table.frame) and all(row.count(" & ") == len(cells[0]) - 1 for row in body)
    assert r"\toprule" in latex and r"DSC \%" in latex and r"\texttt{unetpp}" in latex.replace(r"\_", "_")
    assert not any(c in latex.replace(r"\%", "").replace(r"\_", "") for c in "%_±")
    read = pd.read_csv(io.StringIO(table.csv_frame().to_csv(index=False))).set_index("Model")
    ours = line(table, "unetpp")
    row = read.loc[ours["Model"]]
    assert float(row["DSC %"]) == pytest.approx(ours["DSC %"].mean)
    assert float(row["DSC % published"]) == 97.33


def test_the_command_rebuilds_what_was_written_from_rows_alone(folder, capsys):
    write_tables(folder)
    first = {path.name: path.read_bytes() for path in (folder / "tables").iterdir()}
    for path in (folder / "tables").iterdir():
        path.unlink()
    assert main(["--tables-only", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "**Bones." in printed and "**Erosion, mean over joints" in printed
    assert {path.name: path.read_bytes() for path in (folder / "tables").iterdir()} == first
    assert len(first) == 3 * 10 + 1 and "ValueError: broken" in (folder / "tables" / "jobs.md").read_text()


def test_a_folder_without_jobs_is_named(tmp_path, capsys):
    with pytest.raises(DataError, match=r"no jobs/\*/job\.json"):
        write_tables(tmp_path)
    assert main(["--tables-only", str(tmp_path)]) == 2 and str(tmp_path) in capsys.readouterr().err
