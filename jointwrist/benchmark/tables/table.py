"""A table, its output formats (Markdown, LaTeX, CSV), and the JSON file from which it is read back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jointwrist.benchmark.tables.cells import ABSENT, FAILED, NOT_RUN, ONE_SEED, Figure, NoFigure, PValue
from jointwrist.errors import DataError
from jointwrist.files import write_frame, write_text

#: All tables of a folder with every digit, the only form that programs read.
TABLES = "tables.json"
#: Marks a row of published figures.
PUBLISHED = "published:"
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
        """Text of every cell: rows with figures of ours, then rows of published figures."""
        measured = [{column: str(cell) for column, cell in row.items()} for row in self.rows if not _empty(row)]
        frame = pd.DataFrame([*measured, *self.published])
        columns = dict.fromkeys(column for row in self.rows for column in row)
        return frame.reindex(columns=[column for column in columns if column in frame]).fillna(ABSENT)

    @property
    def published(self) -> list[dict[str, str]]:
        """Rows of published figures, marked in their first cell and placed at the end."""
        rows = []
        for row in self.rows:
            texts = {c: cell.published_text() for c, cell in row.items() if isinstance(cell, Figure | NoFigure)}
            if any(text != ABSENT for text in texts.values()):
                first = next(iter(row))
                rows.append({first: f"{PUBLISHED} {row[first]}", **texts})
        return rows

    @property
    def notes(self) -> list[str]:
        """Lines under the table: its note, and which models were not run."""
        first = next(iter(self.rows[0])) if self.rows else ""
        left_out = [str(row[first]) for row in self.rows if _empty(row, NOT_RUN)]
        return [*([self.note] if self.note else []), *([f"Not run: {', '.join(left_out)}."] if left_out else [])]

    def csv_frame(self) -> pd.DataFrame:
        """Numbers of every cell, and published ones, in columns of their own; empty columns are left out."""
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
        head = [f"**{self.caption}**", ""] if self.caption else []
        foot = [line for note in self.notes for line in (note, "")]
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
        end = [r"\end{tabular}", *(rf"\par {_escape(note)}" for note in self.notes), r"\end{table}", ""]
        return "\n".join([r"\begin{table}", caption, label, tabular, *body, *end])

    def write(self, folder: Path) -> None:
        """Write the output formats into a folder."""
        write_text(folder / f"{self.name}.md", self.markdown())
        write_text(folder / f"{self.name}.tex", self.latex())
        write_frame(folder / f"{self.name}.csv", self.csv_frame())


def _empty(row: dict[str, Any], *texts: str) -> bool:
    """Whether a row has none of our figures, for one of the given reasons; by default, any but a failed run."""
    absent = {cell.text for cell in row.values() if isinstance(cell, NoFigure)}
    return bool(absent) and absent <= set(texts or (NOT_RUN, ABSENT)) and FAILED not in absent


def markdown_lines(heads: Sequence[str], rows: Any) -> list[str]:
    """Lines of a Markdown table: its first column aligned to the left, the others to the right.

    Args:
        heads: Titles.
        rows: Texts of each row.
    """
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return ["|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|" for row in (heads, rule, *rows)]


def save_tables(folder: Path, tables: Sequence[Table]) -> None:
    """Write the output formats of every table, and all tables in `tables.json`."""
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
    """Convert a cell to JSON: numbers and text unchanged, nan as null."""
    kind = type(cell).__name__
    if kind not in _CELLS:
        return cell
    return {"kind": kind, **{key: None if value != value else value for key, value in asdict(cell).items()}}


def _cell(value: Any) -> Any:
    """Return the cell from its JSON, the inverse of `_plain`."""
    if not isinstance(value, dict):
        return value
    fields = {key: np.nan if field is None else field for key, field in value.items() if key != "kind"}
    return _CELLS[value["kind"]](**fields)


def _escape(text: str) -> str:
    text = re.sub(r"([%_&#$])", r"\\\1", text)
    text = re.sub(r"`(.*?)`", r"\\texttt{\1}", text)
    return text.replace("±", r"$\pm$").replace(ONE_SEED, r"$\dagger$").replace("<", "$<$").replace(">", "$>$")
