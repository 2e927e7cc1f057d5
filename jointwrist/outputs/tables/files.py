"""Write the tables as CSV files in a folder, or as the sheets of one Excel workbook."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from jointwrist.errors import DataError
from jointwrist.files import refuse_file, refuse_folder, write_bytes, write_frame
from jointwrist.outputs.tables.codebook import CODEBOOK, CODEBOOK_COLUMNS

#: Rows of a sheet, its header among them.
MOST_ROWS = 2**20


def write_tables(tables: Mapping[str, pd.DataFrame], out: Path) -> list[Path]:
    """Write the tables and return the files; those of an earlier run are replaced, or removed where they have no rows.

    Args:
        tables: Tables by name.
        out: Folder for a CSV file each, in UTF-8; or a file that ends in .xlsx, for a sheet each.

    Raises:
        DataError: A table has more rows than a sheet, the ending is that of another kind of file, or there are files of
            these names without a codebook, which this function did not write.
        StorageError: The disk is full, the folder is not writable, or there is a folder of the workbook's name.
    """
    if out.suffix.lower() == ".xlsx":
        _write_workbook(tables, out)
        return [out]
    if out.suffix.lower() in (".csv", ".xls", ".ods", ".tsv", ".txt", ".json", ".parquet"):
        raise DataError(f"{out}: give a folder, for a CSV file of each table, or a file that ends in .xlsx")
    refuse_file(out)
    files = {name: out / f"{name}.csv" for name in (*CODEBOOK, "codebook")}
    earlier = [file for file in files.values() if file.exists()]
    if earlier and not _begins_as_codebook(files["codebook"]):
        raise DataError(f"{earlier[0]}: exists, and is no table of an earlier run; choose another --out")
    for name in sorted(tables, key=lambda name: name != "codebook"):  # it marks the others, should this be interrupted
        write_frame(files[name], tables[name])
    for name in files.keys() - tables.keys():
        files[name].unlink(missing_ok=True)
    return [files[name] for name in tables]


def _begins_as_codebook(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.readline().strip() == ",".join(CODEBOOK_COLUMNS)
    except (OSError, ValueError):
        return False


def _write_workbook(tables: Mapping[str, pd.DataFrame], out: Path) -> None:
    from openpyxl import Workbook

    if large := [name for name, table in tables.items() if len(table) >= MOST_ROWS]:
        raise DataError(f"{out}: {large[0]} has more rows than a sheet; name a folder, for CSV files")
    refuse_folder(out)
    if out.exists() and not _has_codebook(out):
        raise DataError(f"{out}: exists, and is no workbook of an earlier run; choose another --out")
    workbook = Workbook(write_only=True)
    for name, table in tables.items():
        sheet = workbook.create_sheet(name)
        sheet.freeze_panes = "B2"
        sheet.append([_cell(sheet, str(column)) for column in table.columns])
        for row in table.itertuples(index=False):
            sheet.append([_cell(sheet, value) for value in row])
    content = io.BytesIO()  # openpyxl prints tracebacks of its own if a file cannot be written
    workbook.save(content)
    write_bytes(out, content.getbuffer())


def _has_codebook(workbook: Path) -> bool:
    from openpyxl import load_workbook

    try:
        sheet = load_workbook(io.BytesIO(workbook.read_bytes()), read_only=True)["codebook"]
        return next(sheet.iter_rows(max_row=1, values_only=True), None) == CODEBOOK_COLUMNS
    except Exception:  # openpyxl raises anything on what is no workbook
        return False


def _cell(sheet: Any, value: Any) -> Any:
    """Return the value of a cell; text stays text where it looks like a formula, and loses control characters."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if pd.isna(value):
        return None
    if not isinstance(value, str):
        return value.item() if hasattr(value, "item") else value
    text = re.sub(ILLEGAL_CHARACTERS_RE, "", value.encode("utf-8", "backslashreplace").decode())
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    return cell
