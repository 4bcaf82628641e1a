"""Completes paths while they are typed; a disk that does not answer in time offers nothing."""

from __future__ import annotations

import asyncio
import threading

from textual.suggester import Suggester

from bert_tui.wizard.completion import complete_path

SECONDS = 0.3
MOST_AT_ONCE = 4
"""Folders that may be looked into at once. Where a dead disk holds these up, nothing is offered."""
_free = threading.Semaphore(MOST_AT_ONCE)


class PathSuggester(Suggester):
    """Looks into the folder in a daemon thread, so that a dead network mount holds up nothing."""

    def __init__(self, *, dataset: bool) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._dataset = dataset

    async def get_suggestion(self, value: str) -> str | None:
        """The completed path."""
        if not _free.acquire(blocking=False):
            return None
        loop = asyncio.get_running_loop()
        found: asyncio.Future[str | None] = loop.create_future()

        def tell(path: str | None) -> None:
            if not found.done():
                found.set_result(path)

        def look() -> None:
            try:
                path = complete_path(value, dataset=self._dataset)
            finally:
                _free.release()
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, path)

        threading.Thread(target=look, name="complete path", daemon=True).start()
        try:
            return await asyncio.wait_for(found, SECONDS)
        except TimeoutError:
            return None
