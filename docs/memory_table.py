"""The table of ``memory.md``: python docs/memory_table.py simulates every row and writes it anew (some minutes).

The predicted columns are compared by a test, all of them by ``make bench``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainer.spec.memory import Work, memory_per_rank
from trainer.spec.sizing import GIB, Layout, Shape

PAGE = Path(__file__).parent / "memory.md"
BEGIN, END = "<!-- table: python docs/memory_table.py -->", "<!-- end of table -->"
HEAD = [
    "| size | tensor x data | sequence | shard | recompute | micro batch x times | predicted GiB | simulated GiB "
    "| with margin | for |",
    "|---|---|---|---|---|---|---|---|---|---|",
]


@dataclass(frozen=True)
class Case:
    """A layout and what it is for."""

    size: str
    layout: Layout
    work: Work
    why: str = ""


CASES = [
    Case("tiny", Layout(2), Work(16, 1, "fp32", dropout=0.0)),
    Case("base", Layout(), Work(4, 8)),
    Case("base", Layout(1, 8), Work(4)),
    Case("base", Layout(4, 2, sequence=True), Work(4, 4)),
    Case("base", Layout(1, 8, shard="full"), Work(4)),
    Case("340m", Layout(), Work(4, 8), "preset on one card of 24 GB"),
    Case("340m", Layout(), Work(32), "the same, largest micro batch"),
    Case("340m", Layout(recompute="full"), Work(32)),
    Case("340m", Layout(1, 8), Work(4), "preset on 8 GPUs"),
    Case("340m", Layout(1, 8, shard="full"), Work(4)),
    Case("340m", Layout(1, 512, shard="full"), Work(16)),
    Case("340m", Layout(4, 2), Work(4, 4)),
    Case("340m", Layout(4, 2, sequence=True), Work(4, 4)),
    Case("340m", Layout(8, 64, sequence=True), Work(32)),
    Case("4b", Layout(1, 8, shard="full"), Work(4), "preset on 8 GPUs of 24 GB"),
    Case("4b", Layout(1, 8, shard="full", recompute="full"), Work(4)),
    Case("4b", Layout(2, 4, sequence=True, shard="full"), Work(4, 2)),
    Case("4b", Layout(2, 1), Work(4, 8), "two GPUs of 80 GB"),
    Case("4b", Layout(8, sequence=True), Work(4, 8)),
    Case("20b", Layout(8, sequence=True), Work(4, 8), "preset on 8 GPUs of 80 GB"),
    Case("20b", Layout(8), Work(4, 8)),
    Case("20b", Layout(8, 2, sequence=True, shard="full"), Work(4, 4), "preset on 16 GPUs of 40 GB"),
    Case("20b", Layout(8, 2, sequence=True, shard="full", recompute="full"), Work(16)),
    Case("20b", Layout(4, 4, sequence=True, shard="full"), Work(4, 2)),
    Case("20b", Layout(1, 64, shard="full", recompute="full"), Work(4)),
    Case("20b", Layout(8, 64, sequence=True, shard="full"), Work(32)),
]
"""The last number of a layout is that of the data-parallel groups: worlds of 1 to 512."""


def row(case: Case, shape: Shape, simulated: float) -> str:
    """One line; ``simulated`` in GiB."""
    layout, predicted = case.layout, memory_per_rank(shape, case.layout, case.work)
    cells = (
        case.size, f"{layout.tensor} x {layout.data}", "yes" if layout.sequence else "", layout.shard, layout.recompute,
        f"{case.work.micro_batch} x {case.work.accumulation}", f"{predicted.tensors / GIB:.2f}", f"{simulated:.2f}",
        f"{predicted.total / GIB:.1f}", case.why,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def rows_of(page: str) -> list[str]:
    """The lines of the page's table, without its head."""
    return page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[len(HEAD) :]


def simulated_of(line: str) -> float:
    """What a line of the table says was simulated, GiB."""
    return float(line.split("|")[8])


def with_rows(page: str, rows: Iterable[str]) -> str:
    """The page with other lines in its table."""
    before, _, rest = page.partition(BEGIN)
    return "\n".join([before + BEGIN, *HEAD, *rows, END + rest.partition(END)[2]])


def main() -> None:
    """Simulates and writes."""
    from tests.trainer.simulation import SHAPES, simulate

    rows = []
    for case in CASES:
        shape = SHAPES[case.size]
        rows.append(row(case, shape, simulate(shape, case.layout, case.work).peak / GIB))
        print(rows[-1], flush=True)
    PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
