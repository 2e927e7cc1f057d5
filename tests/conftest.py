"""Data that several tests share: a small phantom release, made once a run."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import fork_server
import programs
import pytest
import trust_table

# tests run beside each other, a process for each core
os.environ.setdefault("OMP_NUM_THREADS", "1")
# tests that import onnxruntime themselves send no events of use
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def hide_gpu(patch):
    import torch

    torch.cuda.is_available()  # CUDA reads its environment once, here; child processes read it again
    patch.setattr(torch.cuda, "is_available", lambda: False)
    patch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True, scope="session")
def hidden_gpu():
    """No test finds a GPU but those that take `device`: the figures of the others are a CPU's, on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        hide_gpu(patch)
        yield patch


@pytest.fixture
def device(request, hidden_gpu):
    """The device that a test is parametrised with; where it is a GPU, one is found as long as the test runs."""
    import torch

    if request.param == "cuda":
        hidden_gpu.undo()
    yield torch.device(request.param)
    if request.param == "cuda":
        hide_gpu(hidden_gpu)


#: What a test asked the network for.
ASKED: list[str] = []


def refuse_network(event, arguments):
    """Audit hook: no look-up and no connection but those within this machine."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host or ""
    if host not in ("", "::1", "localhost", "0.0.0.0", socket.gethostname()) and not host.startswith("127."):
        ASKED.append(f"{event} {host}")
        raise ConnectionRefusedError(f"tests use no network, not even {host}")


sys.addaudithook(refuse_network)


@pytest.fixture(autouse=True)
def no_network():
    """No test asks the network, whatever it does with the refusal."""
    ASKED.clear()
    yield ASKED
    assert ASKED == []


@pytest.fixture(scope="session")
def phantom_root(tmp_path_factory):
    """A released folder of 28 small phantom wrists."""
    from jointwrist.phantom import PhantomConfig, write_phantom

    root = tmp_path_factory.mktemp("phantom")
    write_phantom(root, 28, size=128, seed=5, config=PhantomConfig(size=128, prevalence=0.3), workers=1)
    return root


@pytest.fixture(scope="session")
def dataset(phantom_root):
    """The same folder, opened."""
    from jointwrist.data.dataset.ram_w600 import RamW600

    return RamW600.open(phantom_root)


@pytest.fixture(scope="session")
def predictor():
    """The weights that come with the package, loaded once a run."""
    from jointwrist.inference.predictor import Predictor

    return Predictor.from_pretrained("jointwrist_tiny", device="cpu")


@pytest.fixture(scope="module")
def segmented_once():
    """The localiser's network sees no image twice in a module, whichever engine runs it: tests repeat their hands."""
    from jointwrist.inference.search.localiser import Localiser

    segment, seen = Localiser._probabilities, {}

    def remembered(localiser, image):
        key = image.shape, image.tobytes()
        if key not in seen:
            seen[key] = segment(localiser, image)
        return seen[key].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Localiser, "_probabilities", remembered)
        yield


@pytest.fixture(scope="session")
def masked(dataset):
    """Nine radiographs of it with their masks, as they lie on the radiograph."""
    from jointwrist.data.dataset.case import load_sample
    from jointwrist.data.sample import unpack_masks

    cases = [case for case in dataset.cases if case.mask is not None][:9]
    return [(case, unpack_masks(load_sample(case, right_hand=False).bones)) for case in cases]


@pytest.fixture
def no_report(monkeypatch):
    """Let the benchmark train its jobs alone: its tables and pictures take longer than small jobs."""
    from benchmarks import run_all

    monkeypatch.setattr(run_all, "finish", lambda *_: None)


#: What the processes of tests run; the last freezes what there is.
PRELOAD = ["bad_routes", "tests.killed_node", "tests.ranks", "tests.killed_run"]
if not find_spec("pynetdicom"):
    PRELOAD.remove("tests.killed_node")


@pytest.fixture(scope="session")
def processes():
    """Children of a process that has everything imported and has never computed: a start costs no import."""
    from tests import killed_run

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with pytest.MonkeyPatch.context() as patch:
        # a new interpreter finds no modules by the path of this process in Python 3.11, and says nothing
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        first = context.Process(target=killed_run.check_imported, args=(PRELOAD,))
        first.start()
        first.join()  # its imports are no part of what a test measures
    assert first.exitcode == 0
    return context


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium, the system's or playwright's own."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with api.sync_playwright() as playwright:
        try:
            # containers have no sandbox of users and a small /dev/shm
            arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=found, args=arguments, timeout=120_000)
        except api.Error as error:
            programs.lacking("chromium", f"no Chromium to run: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def one_tab(browser):
    """A tab of the browser, which takes longer to open than a page to load."""
    tab = browser.new_page()
    tab.set_default_timeout(120_000)  # ms, for a busy machine
    tab.faults, tab.asked = [], []
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    tab.on("console", lambda message: tab.faults.append(message.text))
    tab.on("request", lambda request: tab.asked.append(request.url))
    yield tab
    tab.close()


@pytest.fixture
def tab(one_tab):
    """The tab as if it were new: `faults` has what its page complains of, and `asked` the addresses that it loads."""
    one_tab.set_viewport_size({"width": 1280, "height": 720})
    one_tab.mouse.move(0, 0)
    one_tab.goto("about:blank")
    one_tab.faults.clear()
    one_tab.asked.clear()
    return one_tab


#: Files with tests of ten seconds and more. They begin first, so that no process waits for one of them at the end.
LONG = (
    "test_bad_files", "test_bundle", "test_docs_examples", "test_encoder_export", "test_export", "test_finetune",
    "test_kill", "test_localiser", "test_node_kill", "test_notebooks", "test_scan_triton", "test_supply",
    "test_together",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)


def pytest_collection_finish(session):
    """Leave what the imports made, 700,000 objects, out of every later collection of garbage: a seventh of the time.

    The server of `processes` is forked here, before anything is computed.
    """
    gc.collect()
    gc.freeze()
    if fork_server.POSSIBLE and any("processes" in item.fixturenames for item in session.items):
        fork_server.start(PRELOAD)


def pytest_addoption(parser):
    parser.addoption("--trust-table", type=Path, metavar="PAGE", help="write the counts of `-m trust` into a page")


def pytest_terminal_summary(terminalreporter, config):
    """After `-m trust`, count by file what was tried, survived, lost and not run."""
    if config.option.markexpr != "trust":
        return
    counts: dict[str, trust_table.Count] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports if outcome in ("passed", "failed", "error", "skipped") else ():
            counts.setdefault(report.nodeid.partition("::")[0], trust_table.Count()).add(outcome, report)
    terminalreporter.section("trust")
    for name, count in sorted(counts.items()):
        terminalreporter.line(f"{name:32} {count}")
    if config.option.trust_table:
        trust_table.write(config.option.trust_table, counts)
