"""Questions of the checklist, asked side by side, answered as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bert_tui.checks.check import Check, Finding
from bert_tui.deadline import within
from bert_tui.machine import Machine
from trainer.spec.preset import Preset


@dataclass(frozen=True)
class Subject:
    """What the questions are about."""

    preset: Preset
    machine: Machine


@dataclass(frozen=True)
class Question:
    """One check, before it is answered."""

    name: str
    """As in :class:`Check`."""
    title: str
    ask: Callable[[Subject], Check]
    seconds: float = 5.0
    """How long an answer may take; after that it is unknown."""
    last: bool = False
    """Whether it is asked when all others are answered, about the choice that they lead to."""


def question(name: str, title: str, find: Callable[[Subject], Finding], seconds: float = 5.0) -> Question:
    """A question whose answer takes its name and title."""

    def ask(subject: Subject) -> Check:
        found = find(subject)
        return Check(name, title, found.answer, found.seen, found.meaning, found.repair)

    return Question(name, title, ask, seconds)


def answer(question: Question, subject: Subject) -> Check:
    """Asks one question. One that hangs or fails is answered "unknown": nobody knows, so nobody may say it is fine."""
    try:
        return within(question.seconds, lambda: question.ask(subject), name=question.name)
    except TimeoutError:
        seen = f"no answer within {question.seconds:g} s"
        return Check(question.name, question.title, "unknown", seen, "It could not be looked at.", "Check again.")
    except Exception as error:  # a check is third-party drivers and file systems: any error is an answer of its own
        seen = f"{type(error).__name__}: {error}"
        return Check(question.name, question.title, "unknown", seen, "The check itself failed.", "")


def run_checks(
    questions: Sequence[Question], subject: Subject, on_answer: Callable[[Check], None]
) -> list[threading.Thread]:
    """Asks all questions at once, each in a daemon thread, and hands each answer on from there.

    Returns at once; joining the threads waits for the last answer.
    """

    def ask(question: Question) -> None:
        on_answer(answer(question, subject))

    threads = [
        threading.Thread(target=ask, args=(question,), name=question.name, daemon=True) for question in questions
    ]
    for thread in threads:
        thread.start()
    return threads


def staged(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """Those that are asked first, and those that are asked when they are answered."""
    first = [question for question in questions if not question.last]
    return first, [question for question in questions if question.last]


def ask_all(questions: Sequence[Question], subject: Subject) -> list[Check]:
    """Every answer, in the order of the questions. Takes as long as the slowest question may, and then the slowest of
    the last ones."""
    answers: dict[str, Check] = {}
    for batch in staged(questions):
        for thread in run_checks(batch, subject, lambda check: answers.__setitem__(check.name, check)):
            thread.join()
    return [answers[question.name] for question in questions]
