"""Calls that may hang (a dead network mount, a driver, an engine), each with an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def within(seconds: float, function: Callable[[], Value], *, name: str = "") -> Value:
    """What ``function`` returns, if it does so in time. A call that hangs is left to a daemon thread, which holds up
    neither the caller nor the end of the program.

    Raises:
        TimeoutError: it did not return in time.
        BaseException: whatever ``function`` raised.
    """
    outcome: list[Value] = []
    failure: list[BaseException] = []

    def call() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=call, name=name or "within", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return outcome[0]
