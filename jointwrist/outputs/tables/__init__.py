"""Tables of many predictions, for statistics programs: rows from their JSON files, a codebook, and the files."""

from jointwrist.outputs.tables.files import write_tables
from jointwrist.outputs.tables.read import FoundResults, find_results
from jointwrist.outputs.tables.rows import make_tables

__all__ = ["FoundResults", "find_results", "make_tables", "write_tables"]
