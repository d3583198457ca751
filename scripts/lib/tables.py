"""Tables of aligned columns, for a terminal and for what reads on."""

from __future__ import annotations

from typing import Iterator, Sequence


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """Yield a line for each row, with columns as wide as the widest of their cells.

    ``right`` numbers the columns that are aligned at their right.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = (
            cell.rjust(width) if n in right else cell.ljust(width) for n, (cell, width) in enumerate(zip(row, widths))
        )
        yield "  ".join(cells).rstrip()
