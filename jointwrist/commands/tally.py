"""Counters of a run over many radiographs: progress, refusals by reason, and a summary line."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from jointwrist.commands.messages import complain, is_main_process
from jointwrist.errors import DataError
from jointwrist.files import write_text
from jointwrist.text import number_of, printable

#: Refusals that are printed one by one; all are in `REFUSED`.
MOST_PRINTED = 10
REFUSED = "refused.txt"


class Tally:
    """Count radiographs, print progress, and list refusals by reason.

    Args:
        total: Number of radiographs.
        out: Folder of the results, which takes the list of refusals if there are many.
    """

    def __init__(self, total: int, out: Path):
        self.total, self.out = total, out
        self.done, self.skipped, self.written = 0, 0, 0
        self.errors: list[str] = []
        self.began = time.monotonic()
        self._bar: Any = None
        if total > 1 and sys.stderr.isatty() and is_main_process():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc="predict", unit="radiograph", leave=False)

    def say(self, line: str) -> None:
        """Print the line of a result immediately, also into a pipe."""
        if self._bar is None:
            print(line, flush=True)
        else:
            self._bar.write(line, file=sys.stdout)

    def refuse(self, error: DataError) -> None:
        """Count a refusal, and print it unless there have been many."""
        self.errors.append(" ".join(str(error).split()))
        if len(self.errors) <= MOST_PRINTED:
            complain(error)
        elif len(self.errors) == MOST_PRINTED + 1:
            complain(f"further refusals are counted, and listed in {self.out / REFUSED} at the end")

    def advance(self, count: int) -> None:
        """Count radiographs that were processed, whether or not they succeeded."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)

    def close(self) -> None:
        """Write the list of refusals if there were many, and close the progress bar."""
        if self._bar is not None:
            self._bar.close()
        if len(self.errors) > MOST_PRINTED:
            write_text(self.out / REFUSED, "".join(f"{printable(error)}\n" for error in self.errors))

    def summary(self) -> str:
        """Return one line with the numbers of radiographs predicted, refused (by reason), and left out."""
        reasons = Counter(map(reason, self.errors))
        parts = [f"{self.written} of {number_of(self.total, 'radiograph')} predicted"]
        if self.errors:
            counts = ", ".join(f"{count} {text}" for text, count in reasons.most_common(5))
            more = f", {len(reasons) - 5} further reasons" if len(reasons) > 5 else ""
            parts.append(f"{len(self.errors)} refused ({counts}{more})")
        if self.skipped:
            parts.append(f"{number_of(self.skipped, 'other file')} left out")
        if self.done < self.total:
            parts.append(f"{self.total - self.done} not begun")
        each = (time.monotonic() - self.began) / max(self.done, 1)
        return f"{', '.join(parts)}; {each:.2g} s each"


def reason(error: str) -> str:
    """Return the reason for a refusal without file, remedy and figures, so that equal reasons can be counted."""
    text = error.partition(": ")[2] or error
    text = re.sub(r"\([^)]*\)", "", re.split(r"[;.] |[.]$", text)[0])
    return printable(re.sub(r"\s+", " ", re.sub(r"\d[\d,]*", "N", text)).strip())
