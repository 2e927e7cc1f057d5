"""Tables of many results and comparisons, for statistics programs: rows of their JSON files, a codebook, and files."""

from jointwrist.outputs.tables.files import write_tables
from jointwrist.outputs.tables.read import FoundResults, find_results
from jointwrist.outputs.tables.rows import make_tables

__all__ = ["FoundResults", "find_results", "make_tables", "write_tables"]
