"""Read tables as text: CSV in any form that a spreadsheet saves, or an Excel workbook."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from jointwrist.data.dataset.tables import MAX_COLUMNS, MAX_ROWS, MAX_TABLE_BYTES
from jointwrist.data.shapes.region import Note
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: Longest text of a field; expected are names and numbers.
MAX_FIELD = 1000
#: Columns, and characters of their names, that a message shows.
_SHOWN = 12, 40
_DELIMITERS = ",;\t|"
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
#: Notation that keeps a spreadsheet from reading digits as a number.
_AS_TEXT = re.compile(r'^="([^"]*)"$')
#: Error values of spreadsheets, such as #N/A and #REF!, in any language.
_FORMULA_ERROR = re.compile(r"#(N/A|N/D|NV|N/V|[^\W\d_]+(/0)?[!?])")
#: Numbers from here on have lost digits in Excel, which keeps 15; they are given as Excel shows them, 1.23457E+17.
_EXACT = 1e15
_HIDDEN = re.compile(rb"""<(?:\w+:)?row\s[^>]*?hidden=["'](?:1|true)["']""")
#: Cells merged over several rows; a workbook keeps only the first value.
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?ref=["']([A-Z]+(\d+):[A-Z]+(\d+))["']""")


def read_sheet(path: Path, needed: str, note: Note = lambda _: None) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and texts by column of every non-blank row.

    The first non-blank row names the columns, in any case and with spaces around them.

    Args:
        path: CSV file (UTF-8, UTF-16, UTF-32 or cp1252; separated by comma, semicolon, tab or bar) or `.xlsx`.
        needed: Name of a required column.
        note: Called with a remark if the encoding is a guess, or a workbook has hidden rows.

    Raises:
        DataError: The file is missing, too large or not such a table, a row has more fields than columns, a cell has
            no value (a formula that was not computed, or a merged cell), or several sheets have the column.
    """
    if problem := why_unreadable(path):
        raise DataError(f"{path}: {problem}")
    content = path.read_bytes() if path.stat().st_size <= MAX_TABLE_BYTES else b""
    if not content.strip():
        raise DataError(f"{path}: is empty, or larger than {MAX_TABLE_BYTES:,} bytes; give a table of the radiographs")
    if content.startswith(_OLD_EXCEL):
        raise DataError(
            f"{path}: is an Excel workbook of the old kind, or an encrypted one; save it as .xlsx or as CSV"
        )
    rows = (
        _workbook_rows(content, path, needed, note)
        if content.startswith(b"PK\3\4")
        else _text_rows(content, path, needed, note)
    )
    names: list[str] = []
    for line, fields in rows:
        texts = [_AS_TEXT.sub(r"\1", field.strip()) for field in fields]
        if not any(texts):
            continue
        if not names:
            names = _column_names(texts, needed, path)
            continue
        if any(texts[len(names) :]):
            raise DataError(
                f"{path}: line {line} has more fields than there are columns; put texts with separators in quotes"
            )
        if broken := next(filter(_FORMULA_ERROR.fullmatch, texts), None):
            raise DataError(f"{path}: line {line} has a formula without a value ({broken}); write the value itself")
        if max(map(len, texts)) > MAX_FIELD:
            raise DataError(f"{path}: line {line} has a field of more than {MAX_FIELD:,} characters; shorten it")
        yield line, dict(zip(names, [*texts, *[""] * len(names)], strict=False))


def _column_names(texts: Sequence[str], needed: str, path: Path) -> list[str]:
    names = list(texts)
    while not names[-1]:
        names.pop()
    names = [name.lower() if name.lower() == needed else name for name in names]
    if needed not in names:
        found = ", ".join(name[: _SHOWN[1]] for name in names[: _SHOWN[0]])
        raise DataError(
            f"{path}: has no column `{needed}`; its first line must name the columns, and is: {found}; name one of them"
            f" `{needed}`, or remove what is above the names"
        )
    twice = {name for name in names if [other.lower() for other in names].count(name.lower()) > 1}
    if twice:
        raise DataError(f"{path}: has two columns {sorted(twice)[0]!r}; keep one")
    return names


def _text_rows(content: bytes, path: Path, needed: str, note: Note) -> Iterator[tuple[int, list[str]]]:
    text = _decode(content, path, note).replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's way to state the delimiter
        text, first = rest, rest.partition("\n")[0]
    limit = csv.field_size_limit(MAX_TABLE_BYTES)
    try:
        delimiter = next(
            (
                mark
                for mark in _DELIMITERS
                if needed in [name.strip().lower() for name in next(csv.reader([first], delimiter=mark), [])]
            ),
            ",",
        )
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{path}: is not a CSV file ({error}); save it as CSV or .xlsx") from error
    finally:
        csv.field_size_limit(limit)


def _decode(content: bytes, path: Path, note: Note) -> str:
    """Decode a text by its byte order mark, as UTF-8, or else as the code page of Western Windows."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        # every second byte of plain letters is 0
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    for name in (encoding,) if encoding else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if name == "cp1252":
            note(f"{path}: is not UTF-8; taken for cp1252, Western Windows: save it as UTF-8 if letters come out wrong")
        return text
    raise DataError(f"{path}: its encoding is not UTF-8, UTF-16 or cp1252; save it as CSV in UTF-8, or as .xlsx")


def _workbook_rows(content: bytes, path: Path, needed: str, note: Note) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of the sheet that has the column, else those of the first sheet; hidden sheets do not count."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > MAX_TABLE_BYTES:
                raise DataError(
                    f"{path}: {size:,} bytes uncompressed are more than {MAX_TABLE_BYTES:,}; save it as CSV"
                )
            if "[Content_Types].xml" not in archive.namelist():
                raise DataError(f"{path}: is an OpenDocument table or another archive; save it as .xlsx or as CSV")
            _refuse_merged(archive, path)
            if any(_HIDDEN.search(xml) for xml in _sheet_parts(archive)):
                note(f"{path}: has hidden rows, as a filter leaves them; they are read like the others")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # styles and extensions that openpyxl does not keep
            books = [
                load_workbook(io.BytesIO(content), read_only=True, data_only=computed) for computed in (True, False)
            ]
        sheets = {
            computed.title: _sheet_rows(computed, written, path)
            for computed, written in zip(*(book.worksheets for book in books), strict=True)
            if computed.sheet_state == "visible"
        }
    except DataError:
        raise
    except Exception as error:  # a damaged workbook makes openpyxl raise anything
        raise DataError(f"{path}: damaged workbook ({error!r}); save it again, or as CSV") from error
    named = [title for title, rows in sheets.items() if rows and needed in [text.strip().lower() for text in rows[0]]]
    if len(named) > 1:
        raise DataError(f"{path}: the sheets {', '.join(named)} have a column `{needed}`; keep one, or hide the others")
    yield from enumerate(sheets[named[0]] if named else next(iter(sheets.values()), []), 1)


def _sheet_rows(computed: Any, written: Any, path: Path) -> list[list[str]]:
    """Return the texts of a sheet that was opened twice: with the values of its formulas, and with the formulas."""
    bounds = {"max_row": MAX_ROWS, "max_col": MAX_COLUMNS}
    rows = []
    for line, pair in enumerate(zip(computed.iter_rows(**bounds), written.iter_rows(**bounds), strict=True), 1):
        for cell, formula in zip(*pair, strict=True):
            # the type "str" without a value is a formula that gives an empty text
            if cell.value is None and formula.value is not None and cell.data_type != "str":
                raise DataError(
                    f"{path}: line {line} has a formula that was never computed; open the file in Excel or LibreOffice"
                    " and save it again, or write the values themselves"
                )
        rows.append([_cell(cell.value) for cell in pair[0]])
    return rows


def _refuse_merged(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse cells merged over several rows: only the first row would have the value that all of them show."""
    for xml in _sheet_parts(archive):
        for cells, first, last in _MERGED.findall(xml):
            if first != last:
                raise DataError(
                    f"{path}: the cells {cells.decode()} are merged; undo that and write the value into every row"
                )


def _sheet_parts(archive: zipfile.ZipFile) -> Iterator[bytes]:
    """Yield the XML of every sheet."""
    for name in archive.namelist():
        if name.startswith("xl/worksheets/") and name.endswith(".xml"):
            yield archive.read(name)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float) and abs(value) >= _EXACT:
        return f"{value:.5E}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat().removesuffix("T00:00:00")
    return str(value)
