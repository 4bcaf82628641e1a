"""Which steps a chart shows, and how keys change that."""

from __future__ import annotations

from dataclasses import dataclass

NARROWEST = 8
"""Steps of the closest look."""


@dataclass(frozen=True)
class Window:
    """Steps from ``low`` to ``high``, which is above it."""

    low: int
    high: int

    @property
    def width(self) -> int:
        """Steps from end to end."""
        return self.high - self.low

    def zoomed(self, factor: float, around: int | None, end: int) -> Window:
        """``factor`` times as wide, with the step ``around``, or else the middle, where it was; between 0 and
        ``end``."""
        width = min(max(NARROWEST, round(self.width * factor)), max(NARROWEST, end))
        centre = self.low + self.width // 2 if around is None else min(max(around, self.low), self.high)
        share = (centre - self.low) / self.width
        return Window(round(centre - share * width), round(centre - share * width) + width).within(end)

    def panned(self, share: float, end: int) -> Window:
        """Moved by a share of its width; between 0 and ``end``."""
        distance = round(self.width * share) or (1 if share > 0 else -1)
        return Window(self.low + distance, self.high + distance).within(end)

    def within(self, end: int) -> Window:
        """Pushed between 0 and ``end``, as wide as before where that is possible."""
        width = min(self.width, max(NARROWEST, end))
        low = max(0, min(self.low, end - width))
        return Window(low, low + width)

    def holding(self, step: int) -> int:
        """The step of the window nearest to ``step``."""
        return min(max(step, self.low), self.high)


def last_steps(last: int, count: int) -> Window:
    """The last ``count`` steps, with room for a tenth more, so that it moves only now and then."""
    tenth = max(1, count // 10)
    low = max(0, (last - count) // tenth * tenth)
    return Window(low, low + count + tenth)
