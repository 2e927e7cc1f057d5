"""One self-contained HTML page for a results folder of the benchmark."""

from __future__ import annotations

from jointwrist.benchmark.report.page import build_page, write_report

__all__ = ["build_page", "write_report"]
