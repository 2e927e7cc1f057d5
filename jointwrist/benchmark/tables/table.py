"""A table, its printed forms (Markdown, LaTeX, CSV), and the JSON file that it is read back from."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jointwrist.benchmark.tables.cells import ABSENT, ONE_SEED, Figure, NoFigure, PValue
from jointwrist.errors import DataError
from jointwrist.files import atomic, write_text

#: All tables of a folder with every digit, the only form that programs read.
TABLES = "tables.json"
_CELLS = {cell.__name__: cell for cell in (Figure, NoFigure, PValue)}


@dataclass(frozen=True)
class Table:
    """One table, ready to be written.

    Attributes:
        name: Stem of its files, and its marker in the README.
        caption: Protocol, data, prompts, seeds and the meaning of the columns; empty for none.
        rows: Cells by column: text, numbers, `Figure`, `NoFigure` or `PValue`.
        note: Line under the table; empty for none.
    """

    name: str
    caption: str
    rows: list[dict[str, Any]]
    note: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """Text of every cell; published figures in columns of their own at the end."""
        lines = [{column: str(cell) for column, cell in row.items()} for row in self.rows]
        frame = pd.DataFrame(lines).fillna(ABSENT)
        for column in frame.columns:
            cells = [row.get(column) for row in self.rows]
            texts = [cell.published_text() if isinstance(cell, Figure | NoFigure) else ABSENT for cell in cells]
            if any(text != ABSENT for text in texts):
                frame[f"published {column}"] = texts
        return frame

    def csv_frame(self) -> pd.DataFrame:
        """Numbers of every cell in columns of their own; empty columns are left out."""
        plain = [
            {
                key: value
                for column, cell in row.items()
                for key, value in (cell.columns(column) if hasattr(cell, "columns") else {column: cell}).items()
            }
            for row in self.rows
        ]
        return pd.DataFrame(plain).dropna(axis=1, how="all")

    def markdown(self) -> str:
        """Caption, table and note in GitHub's Markdown."""
        frame = self.frame
        lines = markdown_lines(frame.columns, frame.itertuples(index=False, name=None))
        head, foot = ([f"**{self.caption}**", ""] if self.caption else []), ([self.note, ""] if self.note else [])
        return "\n".join([*head, *lines, "", *foot])

    def latex(self) -> str:
        """Table for LaTeX with booktabs."""
        frame = self.frame
        lines = [" & ".join(map(_escape, row)) + r" \\" for row in frame.itertuples(index=False, name=None)]
        head = " & ".join(map(_escape, frame.columns)) + r" \\"
        columns = "l" + "r" * (frame.shape[1] - 1)
        body = [r"\toprule", head, r"\midrule", *lines, r"\bottomrule"]
        caption, tabular = rf"\caption{{{_escape(self.caption)}}}", rf"\begin{{tabular}}{{{columns}}}"
        label = rf"\label{{tab:{self.name}}}"
        end = [r"\end{tabular}", *([rf"\par {_escape(self.note)}"] if self.note else []), r"\end{table}", ""]
        return "\n".join([r"\begin{table}", caption, label, tabular, *body, *end])

    def write(self, folder: Path) -> None:
        """Write the printed forms into a folder."""
        write_text(folder / f"{self.name}.md", self.markdown())
        write_text(folder / f"{self.name}.tex", self.latex())
        with atomic(folder / f"{self.name}.csv") as temporary:
            self.csv_frame().to_csv(temporary, index=False, float_format="%.6g")


def markdown_lines(heads: Sequence[str], rows: Any) -> list[str]:
    """Lines of a Markdown table: its first column aligned to the left, the others to the right.

    Args:
        heads: Titles.
        rows: Texts of each row.
    """
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return ["|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|" for row in (heads, rule, *rows)]


def save_tables(folder: Path, tables: Sequence[Table]) -> None:
    """Write every table's printed forms, and all of them in `tables.json`."""
    for table in tables:
        table.write(folder)
    plain = [
        {**vars(table), "rows": [{column: _plain(cell) for column, cell in row.items()} for row in table.rows]}
        for table in tables
    ]
    text = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / TABLES, text + "\n")


def load_tables(folder: Path) -> list[Table]:
    """Read the tables that `save_tables` wrote, in their order.

    Raises:
        DataError: The file is missing or damaged.
    """
    path = Path(folder) / TABLES
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [
            Table(**{**entry, "rows": [{key: _cell(value) for key, value in row.items()} for row in entry["rows"]]})
            for entry in found
        ]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); make the tables again") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error}); make the tables again") from None


def _plain(cell: Any) -> Any:
    """Return a cell as JSON holds it: numbers and text as they are, nan as null."""
    kind = type(cell).__name__
    if kind not in _CELLS:
        return cell
    return {"kind": kind, **{key: None if value != value else value for key, value in asdict(cell).items()}}


def _cell(value: Any) -> Any:
    """Return the cell that `_plain` was given."""
    if not isinstance(value, dict):
        return value
    fields = {key: np.nan if field is None else field for key, field in value.items() if key != "kind"}
    return _CELLS[value["kind"]](**fields)


def _escape(text: str) -> str:
    text = re.sub(r"([%_&#$])", r"\\\1", text)
    text = re.sub(r"`(.*?)`", r"\\texttt{\1}", text)
    return text.replace("±", r"$\pm$").replace(ONE_SEED, r"$\dagger$").replace("<", "$<$").replace(">", "$>$")
