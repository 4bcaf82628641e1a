"""Answers about containers, put together."""

from __future__ import annotations

from bert_tui.advice.words import describe
from bert_tui.checks.check import Answer, Check
from bert_tui.checks.docker import TITLES
from trainer.spec.problem import Problem

NO_START = "No container can be started."


def answered(name: str, answer: Answer, seen: str, meaning: str = "", repair: str = "") -> Check:
    """The answer to the question of this name."""
    return Check(name, TITLES[name], answer, seen, meaning, repair)


def problem_answer(name: str, problem: Problem, answer: Answer = "fail", meaning: str = NO_START) -> Check:
    """A problem as an answer. An engine that is silent leaves its questions open."""
    words = describe(problem)
    return answered(name, "unknown" if problem.code == "docker.silent" else answer, words.what, meaning, words.remedy)
