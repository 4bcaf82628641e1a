"""Started by torchrun: trains as ``python -m trainer ATTEMPT_DIR`` does, from a disk that takes its time."""

from __future__ import annotations

import sys
import time
from typing import Any

from trainer.__main__ import main
from trainer.rank_end import end
from trainer.spec.samples import Batch, RowReader

SECONDS = 0.1
"""What reading a micro batch takes longer."""


class SlowReader(RowReader):
    """Rows from a slow disk."""

    def batch(self, *place: Any) -> Batch:
        """As always, but late."""
        time.sleep(SECONDS)
        return super().batch(*place)


if __name__ == "__main__":
    sys.modules["trainer.train"].RowReader = SlowReader  # type: ignore[attr-defined]
    end(main())
