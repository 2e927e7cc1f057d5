"""The generated table of models."""

from __future__ import annotations

import pytest

from jointwrist.registry import list_models, model_spec
from jointwrist_baselines import readme


def test_readme_is_up_to_date():
    assert readme.main(["--check"]) == 0, "run: python -m jointwrist_baselines.readme --write"


def test_a_row_for_every_model_and_a_cell_for_every_column():
    head, rule, *lines = readme.table().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert sorted(row[0] for row in cells) == list_models()
    assert {len(row) for row in cells} == {head.count("|") - 1} == {rule.count("|") - 1}
    assert all(all(row) for row in cells)
    assert {row[0]: int(row[3].replace(",", "")) for row in cells} == {
        name: model_spec(name).parameters for name in list_models()
    }


def test_a_stale_readme_is_found_and_mended(tmp_path, monkeypatch, capsys):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{readme.BEGIN}\n| an old row |\n{readme.END}\nafter\n")
    monkeypatch.setattr(readme, "README", path)
    assert readme.main(["--check"]) == 1
    assert "--write" in capsys.readouterr().err
    assert readme.main(["--write"]) == 0
    assert readme.main(["--check"]) == 0
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "an old row" not in text


def test_a_readme_without_markers_is_refused():
    with pytest.raises(ValueError, match="models: begin"):
        readme.filled("nothing here")
