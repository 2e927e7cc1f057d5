"""Former names of functions, classes, arguments and attributes: they work, with one warning that names the new one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from jointwrist.data.importers.mcp import ImportedRadiographs
from jointwrist.data.importers.ram_h1200.leaks import Leak, find_leaks, find_patients
from jointwrist.engine.run_data.radiograph_pairs import RadiographPairs
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.inference.prepare_radiographs import prepare_radiographs
from jointwrist.inference.result import WristResult
from jointwrist.insertion.insert import insert_control, insert_erosion
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.insertion.site import draw_site, joint_contour
from jointwrist.phantom.visit import Visit
from jointwrist.renamed_names import former_arguments
from jointwrist.studies.adapt import adapt, divide
from jointwrist.studies.calls import choose_calls, radiograph_probabilities
from jointwrist.studies.detectability import Detectability
from jointwrist.studies.detectability_page import draw_examples
from jointwrist.studies.insertion_study import run_study

#: Former and present name of what a module defines.
NAMES = {
    "data.importers.mcp": ("Films", "ImportedRadiographs"),
    "data.importers.ram_h1200.release": ("Film", "ReleasedRadiograph"),
    "data.importers.ram_h1200.window": ("whole_film", "whole_radiograph"),
    "inference.prepare_radiographs": ("prepare_films", "prepare_radiographs"),
    "inference.scope.aligned_wrist": ("film_of", "align_wrist"),
    "inference.scope.assess": ("judge", "assess_scope"),
    "insertion.masked_radiograph": ("Film", "MaskedRadiograph"),
    "insertion.prepared_radiograph": ("PreparedFilm", "PreparedRadiograph"),
    "weights.skip_init": ("Undrawn", "SkipInit"),
    "studies.calls": ("film_probabilities", "radiograph_probabilities"),
}
#: Functions of which an argument was renamed, with its former and present name; each has further arguments.
ARGUMENTS = [
    (insert_erosion, "film", "radiograph"),
    (insert_control, "film", "radiograph"),
    (joint_contour, "film", "radiograph"),
    (draw_site, "film", "radiograph"),
    (RadiographPairs, "films", "radiographs"),
    (prepare_radiographs, "films", "radiographs"),
    (find_patients, "films", "radiographs"),
    (find_leaks, "films", "radiographs"),
    (adapt, "films", "radiographs"),
    (adapt, "place", "work_folder"),
    (divide, "films", "radiographs"),
    (choose_calls, "films", "radiographs"),
    (radiograph_probabilities, "films", "files"),
    (draw_examples, "films", "prepared"),
    (run_study, "films", "prepared"),
]
ATTRIBUTES = [
    (ImportedRadiographs({"train": 1}, 2, 3), "films", "radiographs"),
    (Leak("a", "train", "same pixels", "b"), "film", "radiograph"),
    (PreparedRadiograph("a.png", "a", "L", None), "film", "radiograph"),
    (RadiographPairs([Path("a.npz")], 32, ["marginal"]), "films", "radiographs"),
    (StepContext(epoch_figures=[{"epoch": 0}]), "history", "epoch_figures"),
]


@pytest.mark.parametrize("module", NAMES)
def test_a_renamed_function_or_class_is_found_by_its_former_name(module):
    old, new = NAMES[module]
    found = importlib.import_module(f"jointwrist.{module}")
    with pytest.warns(FutureWarning, match=f"{module}.{old} is now {new}$") as warned:
        assert getattr(found, old) is getattr(found, new)
    assert len(warned) == 1 and warned[0].filename == __file__
    with pytest.raises(AttributeError, match="no attribute 'never'"):
        _ = found.never


def test_a_former_module_has_the_former_name(monkeypatch):
    former = "jointwrist.insertion.film"
    monkeypatch.setitem(sys.modules, former, None)  # so that no later test finds it imported
    del sys.modules[former]
    with pytest.warns(FutureWarning, match="Film is now MaskedRadiograph"):
        from jointwrist.insertion.film import Film
    assert Film.__name__ == "MaskedRadiograph"


@pytest.mark.parametrize(("function", "old", "new"), ARGUMENTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_renamed_argument_is_taken_by_its_former_name(function, old, new):
    with (
        pytest.warns(FutureWarning, match=f"the argument '{old}' is now '{new}'"),
        pytest.raises(TypeError, match="missing") as error,
    ):
        function(**{old: None})
    assert f"'{new}'" not in str(error.value)  # it is no argument that is missing


def test_a_former_argument_has_the_value_of_the_present_one():
    @former_arguments(films="radiographs")
    def count(radiographs, factor=1):
        return factor * len(radiographs)

    with pytest.warns(FutureWarning, match="count: the argument 'films' is now 'radiographs'") as warned:
        assert count(films="abc", factor=2) == count("abc", 2) == 6
    assert len(warned) == 1 and warned[0].filename == __file__
    with pytest.raises(TypeError, match="'radiographs' and its former name 'films'"):
        count(films="abc", radiographs="abc")


@pytest.mark.parametrize(("instance", "old", "new"), ATTRIBUTES, ids=lambda value: value if type(value) is str else "")
def test_a_renamed_attribute_is_found_by_its_former_name(instance, old, new):
    with pytest.warns(FutureWarning, match=f"{type(instance).__name__}.{old} is now {new}") as warned:
        assert getattr(instance, old) is getattr(instance, new)
    assert len(warned) == 1 and warned[0].filename == __file__


def test_retired_attributes_of_results_and_studies_are_kept():
    with pytest.warns(FutureWarning, match="is now radiographs"):
        assert Detectability.films.fget(SimpleNamespace(radiographs=3)) == 3
    scored = SimpleNamespace(any=lambda: True)
    with pytest.warns(FutureWarning, match="score_warning is now score_warnings"):
        found = WristResult.score_warning.fget(SimpleNamespace(history=SimpleNamespace(warning="x"), scored=scored))
    assert found == "x"


def test_a_visit_takes_its_rotation_by_the_former_name_too():
    with pytest.warns(FutureWarning, match="'turn' is now 'rotation'"):
        visit = Visit(turn=4.0)
    assert visit == Visit(rotation=4.0)
    with pytest.warns(FutureWarning, match=r"Visit\.turn is now rotation"):
        assert visit.turn == 4.0
