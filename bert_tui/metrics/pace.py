"""How fast the last steps were, how much that varies, and what it says of the time left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bert_tui.metrics.snapshot import Pace

BLOCKS = 20
SHORTEST_BLOCK = 10
"""Steps of which a mean is taken."""
FEWEST_BLOCKS = 5


def measure_pace(seconds: npt.NDArray[np.float64], speeds: npt.NDArray[np.float64]) -> Pace | None:
    """Of the last steps: ``seconds`` (n) each took, ``speeds`` (n) in tokens a second; None while they are too few.

    The range goes from the 10th to the 90th percentile of the means of neighbouring steps, as shares of the median:
    single steps vary more than the sum of many does.
    """
    seconds, speeds = seconds[np.isfinite(seconds)], speeds[np.isfinite(speeds)]
    block = max(SHORTEST_BLOCK, len(seconds) // BLOCKS)
    blocks = len(seconds) // block
    median = float(np.median(seconds)) if len(seconds) else 0.0
    if blocks < FEWEST_BLOCKS or median <= 0:
        return None
    quick, slow = np.percentile(seconds[-blocks * block :].reshape(blocks, block).mean(axis=1) / median, [10, 90])
    now = float(np.median(speeds[-SHORTEST_BLOCK:])) if len(speeds) else None
    usual = float(np.median(speeds)) if len(speeds) else None
    return Pace(float(quick), float(slow), now, usual)
