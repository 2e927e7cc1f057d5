"""The page of a results folder: complete, self-contained, escaped, and alive in a browser."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from accessibility import overflow, serious_faults

from jointwrist.anatomy import BONE_NAMES, JOINT_NAMES
from jointwrist.benchmark.report import build_page, write_report
from jointwrist.benchmark.report.folder import read_jobs, read_tables
from jointwrist.benchmark.report.gallery import ranked_cases
from jointwrist.benchmark.report.svg import Axis, line_chart
from jointwrist.benchmark.tables.cells import Figure, NoFigure, PValue
from jointwrist.benchmark.tables.table import Table, save_tables
from jointwrist.cli import main
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.errors import DataError
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights
from jointwrist.weights.training_history import TrainingData

ROOT = Path(__file__).resolve().parent.parent
NASTY = '<script>alert("x")</script>&'
TABLES = [
    Table(
        "segmentation",
        "Bones. Data: phantom.",
        [
            {"Model": "`b`", "DSC %": Figure(9.5, 0.1), "p": PValue(0.02)},
            {"Model": "`a`", "DSC %": Figure(71.834), "p": PValue(1e-5)},
            {"Model": "c", "DSC %": NoFigure("failed"), "p": PValue(np.nan)},
        ],
        note="One model was not run.",
    ),
    Table("jobs", "Jobs", [{"Job": "x", "status": "<i>odd</i>"}]),
]


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def add_job(results, name, **record):
    folder = results / "jobs" / name
    folder.mkdir(parents=True)
    record = {"seed": 1, "status": "ok", "data": "phantom", "protocol": "demo", "machine": "CPU", **record}
    (folder / "job.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def results(dataset, tmp_path_factory):
    """A joint job with weights and rows, a job of erosion alone, and one that failed with a hostile message."""
    results = tmp_path_factory.mktemp("results")
    cases = dataset.segmentation("test")[:3]
    joint = add_job(results, "jointwrist_tiny-seed1-abc", model="jointwrist_tiny", thresholds={"erosion": 0.4})
    info = {"model": "jointwrist_tiny", "options": {}, "image_size": 32, "thresholds": {"erosion": 0.4}}
    info["history"] = [asdict(TrainingData("phantoms", 7, 7, 7, "phantom"))]
    save_weights(joint / "best.safetensors", create_model("jointwrist_tiny"), info)
    figures = {"dsc": 0.9, "nsd": 0.8, "msd": 1.5}
    pd.DataFrame(
        [
            {"case": case.identifier, "kind": "bone", "region": bone, **figures, "dsc": 0.9 - 0.1 * number}
            for number, case in enumerate(cases)
            for bone in BONE_NAMES
        ]
    ).to_csv(joint / "segmentation.csv", index=False)
    rows = pd.DataFrame(
        [
            {"case": case.identifier, "joint": joint_name, "score": n % 3, "probability": n / 10, "predicted": n > 4}
            for case in cases
            for n, joint_name in enumerate(JOINT_NAMES)
        ]
    )
    rows.to_csv(joint / "erosion.csv", index=False)
    pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "val_loss": [2.1, np.nan]}).to_csv(
        joint / "history.csv", index=False
    )
    history = [TrainingData("radiographs", 20, 0, 20, "scored"), TrainingData("phantoms", 5, 0, 5, "phantom")]
    mobilenet = add_job(results, "mobilenet-seed1-abc", model="mobilenet", history=list(map(asdict, history)))
    rows.to_csv(mobilenet / "erosion.csv", index=False)
    add_job(results, "unetpp-seed1-abc", model="unetpp", status="error", error=NASTY, traceback=NASTY)
    save_tables(results / "tables", TABLES)
    return results


@pytest.fixture(scope="module")
def page(results, dataset):
    return build_page(results, dataset)


def test_page_is_self_contained(page):
    parsed = Page(page)
    addresses = [
        attributes[key]
        for _, attributes in parsed.tags
        for key in ("src", "href", "xlink:href", "action", "data", "srcset")
        if key in attributes
    ]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not parsed.attributes("link")
    assert "@import" not in page
    assert "url(" not in page
    policy = next(a["content"] for a in parsed.attributes("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_what_users_wrote_is_text_and_never_markup(page):
    parsed = Page(page)
    assert len(parsed.attributes("script")) == 1
    assert "<i>odd" not in page
    assert "<i>odd</i>" in "".join(parsed.texts)
    assert "".join(parsed.texts).count(NASTY) == 2


def test_tables_are_complete(results, page):
    assert read_tables(results) == TABLES
    texts = Page(page).texts
    first = texts.index("9.50 ± 0.10")
    assert texts[first - 1 : first + 8] == ["b", "9.50 ± 0.10", "0.020", "a", "71.83", "< 0.001", "c", "failed", "-"]
    assert "One model was not run." in texts


def test_tables_are_made_from_the_rows_where_an_earlier_version_wrote_them(tmp_path):
    (job,) = (ROOT / "docs" / "demo" / "jobs").glob("mobilenet-*")
    shutil.copytree(job, tmp_path / "jobs" / job.name)
    assert [table.name for table in read_tables(tmp_path)] == ["erosion", "erosion_pooled", "joints", "jobs"]


def test_gallery_shows_best_median_and_worst_with_both_layers(page, dataset):
    parsed = Page(page)
    titles = [attributes.get("aria-label") for attributes in parsed.attributes("svg")]
    for case in dataset.segmentation("test")[:3]:
        assert titles.count(case.identifier) == 1
    layers = [attributes["data-layer"] for attributes in parsed.attributes("g") if "data-layer" in attributes]
    assert layers.count("predicted") == layers.count("true") == 3
    assert len(parsed.attributes("meter")) == 3 * len(JOINT_NAMES)


def test_cases_are_ranked_by_mean_dsc_over_bones():
    rows = pd.DataFrame(
        {
            "case": [*list("aabbcc"), "a"],
            "kind": ["bone"] * 6 + ["overlap"],
            "dsc": [0.9, 0.7, 0.5, 0.5, 0.6, 0.7, 0.0],
        }
    )
    ranked = ranked_cases(rows)
    assert {title: case for title, (case, _) in ranked.items()} == {"best": "a", "median": "c", "worst": "b"}
    assert ranked["best"][1] == pytest.approx(0.8)
    assert [case for case, _ in ranked_cases(rows[rows["case"] == "a"]).values()] == ["a"]


def test_page_says_what_each_network_was_trained_on(results, dataset, tmp_path):
    without = build_page(results)
    said = [" ".join(line.split()) for line in "".join(Page(without).texts).splitlines()]
    seen = next(line for line in said if "Trained on" in line)
    assert "jointwrist_tiny, seed 1: Trained on bones of 7 phantoms; erosions drawn into 7 phantoms." in seen
    assert "on 20 real radiographs and drawn into 5 phantoms." in seen
    # those without real erosions are marked above and beside their scores, those with them nowhere
    assert without.count("Erosion scores are untested on real erosions: no erosion in the training data") == 2
    add_job(tmp_path, "unetpp-seed1-abc", model="unetpp")
    save_tables(tmp_path / "tables", TABLES)
    assert "no record of the training data" in build_page(tmp_path)
    add_job(tmp_path, "pan-seed1-abc", model="pan", history=[{"source": "elsewhere"}])
    with pytest.raises(DataError, match="pan-seed1-abc"):
        build_page(tmp_path)


def test_two_jobs_of_one_model_and_seed_have_two_names(tmp_path):
    add_job(tmp_path, "unetpp-seed1-aaaaaa", model="unetpp")
    add_job(tmp_path, "unetpp-seed1-bbbbbb", model="unetpp")
    assert [job.name for job in read_jobs(tmp_path)] == [
        "Unet++ (unetpp), seed 1, aaaaaa",
        "Unet++ (unetpp), seed 1, bbbbbb",
    ]


def test_faults_are_named(results, dataset, tmp_path):
    with pytest.raises(DataError, match="run_all"):
        build_page(tmp_path)
    add_job(tmp_path, "unetpp-seed1-abc", model="unetpp")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "tables.json").write_text('[{"name": "x"}]')
    with pytest.raises(DataError, match=r"tables\.json: damaged"):
        build_page(tmp_path)
    (tmp_path / "jobs" / "unetpp-seed1-abc" / "job.json").write_text("{")
    with pytest.raises(DataError, match=r"job\.json"):
        build_page(tmp_path)
    other = tmp_path / "other"
    shutil.copytree(dataset.root, other)
    tested = dataset.segmentation("test")[0]
    for path in other.rglob(f"{tested.identifier}*"):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    with pytest.raises(DataError, match=tested.identifier):
        build_page(results, RamW600.open(other, report=lambda fault: None))


def test_a_page_replaces_pages_only(results, tmp_path):
    (tmp_path / "wrist.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"wrist\.png: exists, and is no report of an earlier run"):
        write_report(results, tmp_path / "wrist.png")
    assert (tmp_path / "wrist.png").read_bytes() == b"\x89PNG"
    for _ in range(2):
        assert write_report(results, tmp_path / "page.html").is_file()


def test_axis_maps_linearly_and_ticks_are_round():
    axis = Axis(0, 50, 100, 200)
    assert [axis(0), axis(25), axis(50)] == [100, 150, 200]
    assert axis.ticks(5) == [0, 10, 20, 30, 40, 50]
    assert "-0" not in [f"{tick:g}" for tick in Axis(-0.4, 0.4, 0, 1).ticks()]
    assert Axis(0.13, 0.61, 0, 1).ticks(4) == [0.2, 0.4, 0.6]
    assert Axis(3, 3, 0, 1)(3) == 0.5


def test_a_curve_leaves_out_what_is_not_finite():
    chart = line_chart("loss", [0, 1, 2], {"training": [1.0, np.nan, 0.5]})
    assert chart.split('class="line"')[1].split(' d="')[1].split('"')[0].count("L") == 1


def test_command_writes_the_page(results, dataset, tmp_path, capsys):
    out = tmp_path / "deeper" / "page.html"
    assert main(["report", str(results), "-o", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert "--data ROOT" in out.read_text(encoding="utf-8")
    assert main(["report", str(tmp_path), "-o", str(out)]) == 2


@pytest.fixture
def opened(tab, page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    tab.goto(path.as_uri())
    yield tab
    assert tab.faults == []
    assert all(url.startswith(("file:", "data:")) for url in tab.asked)


def test_browser_sorts_by_number_and_leaves_cells_without_figures_last(opened):
    table = opened.locator("table.sortable").first

    def models():
        return table.locator("tbody tr td:first-child").all_text_contents()

    assert models() == ["b", "a", "c"]
    title = table.locator("th button").nth(1)
    title.click()
    assert models() == ["b", "a", "c"]
    title.click()
    assert models() == ["a", "b", "c"]
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "descending"
    table.locator("th button").first.click()
    assert models() == ["a", "b", "c"]


def test_browser_opens_a_case_large_by_keyboard(opened):
    opened.locator(".large").first.press("Enter")
    assert opened.locator("dialog svg .bone").first.is_visible()
    opened.keyboard.press("Escape")
    assert not opened.locator("dialog").is_visible()


def test_browser_keeps_captions_within_a_narrow_page(opened):
    opened.set_viewport_size({"width": 390, "height": 800})
    for caption in opened.locator(".caption").all():
        box = caption.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_browser_finds_no_serious_faults_of_accessibility_at_any_width(opened):
    assert overflow(opened) == [0, 0, 0]
    assert serious_faults(opened) == []
    opened.locator(".large").first.press("Enter")
    assert serious_faults(opened) == []


def test_browser_switches_layers_and_bones(opened):
    true, bone = opened.locator('[data-layer="true"]').first, opened.locator('.true [data-bone="6"]').first
    assert true.is_visible()
    opened.locator('[data-toggle-bone="6"]').uncheck()
    assert not bone.is_visible()
    assert true.is_visible()
    opened.locator('[data-toggle-bone="6"]').check()
    opened.locator('[data-toggle-layer="true"]').uncheck()
    assert not true.is_visible()
    opened.locator('[data-toggle-layer="true"]').check()
    assert bone.is_visible()


def test_a_folder_that_does_not_exist_is_said_to(tmp_path, capsys):
    assert main(["report", str(tmp_path / "none")]) == 2
    assert "none: no such folder; give one of benchmarks/run_all.py" in capsys.readouterr().err
