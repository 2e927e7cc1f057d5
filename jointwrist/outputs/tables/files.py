"""Write the tables as CSV files in a folder, or as the sheets of one Excel workbook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from jointwrist.errors import DataError
from jointwrist.files import atomic, refuse_file, write_frame

#: Rows of a sheet, its header among them.
MOST_ROWS = 2**20


def write_tables(tables: Mapping[str, pd.DataFrame], out: Path) -> list[Path]:
    """Write the tables and return the files.

    Args:
        tables: Tables by name.
        out: Folder for a CSV file each, in UTF-8; or a file that ends in .xlsx, for a sheet each.

    Raises:
        DataError: A table has more rows than a sheet, or the ending is that of another kind of file.
        StorageError: The disk is full or the folder is not writable.
    """
    if out.suffix.lower() == ".xlsx":
        _write_workbook(tables, out)
        return [out]
    if out.suffix.lower() in (".csv", ".xls", ".ods", ".tsv", ".parquet"):
        raise DataError(f"{out}: give a folder, for a CSV file of each table, or a file that ends in .xlsx")
    refuse_file(out)
    for name, table in tables.items():
        write_frame(out / f"{name}.csv", table)
    return [out / f"{name}.csv" for name in tables]


def _write_workbook(tables: Mapping[str, pd.DataFrame], out: Path) -> None:
    from openpyxl import Workbook

    if large := [name for name, table in tables.items() if len(table) >= MOST_ROWS]:
        raise DataError(f"{out}: {large[0]} has more rows than a sheet; name a folder, for CSV files")
    workbook = Workbook(write_only=True)
    for name, table in tables.items():
        sheet = workbook.create_sheet(name)
        sheet.freeze_panes = "B2"
        sheet.append([_cell(sheet, str(column)) for column in table.columns])
        for row in table.itertuples(index=False):
            sheet.append([_cell(sheet, value) for value in row])
    with atomic(out) as temporary:
        workbook.save(temporary)


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
