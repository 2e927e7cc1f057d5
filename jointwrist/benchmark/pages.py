"""Insert tables into Markdown pages, between markers."""

from __future__ import annotations

import re
from collections.abc import Callable


def fill_blocks(page: str, kind: str, table: Callable[[str], str]) -> str:
    """Replace the text of every block `<!-- KIND:NAME --> ... <!-- /KIND -->` of a page.

    Args:
        page: Text of the page.
        kind: Kind of the blocks, such as "table".
        table: Function that returns the text of a block by its name.
    """

    def block(match: re.Match[str]) -> str:
        return f"{match.group(1)}\n{table(match.group(2)).strip()}\n<!-- /{kind} -->"

    return re.sub(rf"(<!-- {kind}:(\w+) -->).*?<!-- /{kind} -->", block, page, flags=re.DOTALL)
