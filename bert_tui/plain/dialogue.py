"""Questions asked and answered by lines: on any terminal, by a screen reader, from a pipe or a file."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from bert_tui.wizard.choices import Choice
from trainer.spec.typed_number import whole_number

WIDTH = 78
HELP, BACK, LEAVE = "?", "<", "q"
KEYS = f"{HELP} explains, {BACK} goes back, {LEAVE} leaves"


class WentBack(Exception):
    """The operator wants to see the questions before."""


class Left(Exception):
    """The operator leaves, or the input has come to its end."""


@dataclass(frozen=True)
class Refused(Exception):
    """An answer that cannot be taken, where nobody is there to correct it."""

    line: int
    answer: str
    reason: str


class Dialogue:
    """The lines that come in, and those that go out.

    Where no terminal answers, answers are shown after their questions, and one that cannot be taken ends the dialogue:
    asking again would take the next answer for it.
    """

    def __init__(self, lines: TextIO, out: TextIO, explain: Callable[[str], tuple[str, str]]) -> None:
        self._lines = lines
        self._out = out
        self._explain = explain
        self._read = 0

    def say(self, text: str = "", *, indent: int = 0) -> None:
        """Prints text, folded at the width of a small terminal."""
        for line in text.split("\n"):
            print(textwrap.fill(line, WIDTH, subsequent_indent=" " * indent) if line else "", file=self._out)
        self._out.flush()

    def say_exactly(self, text: str) -> None:
        """Prints what must not be folded: a command, a path."""
        print(text, file=self._out, flush=True)

    def choose(self, question: str, choices: Sequence[Choice], usual: str, topic: str) -> str:
        """The value of the choice whose number is typed; the usual one for an empty line. Choices that cannot be taken
        are shown with their reason and have no number.

        Raises:
            WentBack, Left, Refused: instead of an answer.
        """
        possible = [choice.value for choice in choices if not choice.reason]
        number_of = {value: number for number, value in enumerate(possible, start=1)}
        self.say(question)
        for choice in choices:
            number = number_of.get(choice.value, "-")
            self.say(f"  {number}  {choice.title:<22} {choice.reason or choice.detail}", indent=28)
        default = number_of.get(usual)
        hint = f"Number [{default}]" if default else "Number"
        for answer in self._answers(f"{hint}: ", topic):
            typed = whole_number(answer) if answer else default
            if typed is not None and 1 <= typed <= len(possible):
                return possible[typed - 1]
            self.cannot(answer, f"Type a number from 1 to {len(possible)}." if possible else "None can be chosen here.")
        raise AssertionError("answers end only by an exception")

    def ask(self, question: str, usual: str, problem: Callable[[str], str], topic: str) -> str:
        """What is typed, or ``usual`` for an empty line, once ``problem`` finds nothing wrong with it.

        Raises:
            WentBack, Left, Refused: instead of an answer.
        """
        for answer in self._answers(f"{question} [{usual}]: " if usual else f"{question}: ", topic):
            text = answer or usual
            if not (reason := problem(text)):
                return text
            self.cannot(answer, reason)
        raise AssertionError("answers end only by an exception")

    def _answers(self, prompt: str, topic: str) -> Iterator[str]:
        """Each line that is an answer; the other keys are followed at once."""
        while True:
            answer = self._next_line(prompt)
            if answer == BACK:
                raise WentBack
            if answer == LEAVE:
                raise Left
            if answer == HELP:
                title, text = self._explain(topic)
                self.say(f"\n{title}\n{text}\n")
            else:
                yield answer

    def _next_line(self, prompt: str) -> str:
        print(prompt, end="", file=self._out, flush=True)
        line = self._lines.readline()
        self._read += 1
        if not line:
            print(file=self._out)
            raise Left
        answer = line.strip()
        if not self._lines.isatty():
            print(answer, file=self._out, flush=True)
        return answer

    def cannot(self, answer: str, reason: str) -> None:
        """Says why an answer cannot be taken, so that it is asked for again.

        Raises:
            Refused: nobody is there to correct it.
        """
        if not self._lines.isatty():
            raise Refused(self._read, answer, reason)
        self.say(f"x {reason}", indent=2)
