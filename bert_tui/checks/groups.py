"""The checklist in a form that a person reads: what needs attention first, the rest folded by subject."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bert_tui.checks.check import Answer, Check, answer_lines
from bert_tui.checks.runner import Question

SUBJECTS = {
    "system": "This machine",
    "gpu": "GPUs",
    "local": "Without a container",
    "docker": "Docker",
    "session": "This session",
    "data": "Data",
    "path": "Folders",
    "plan": "The plan",
}
"""What the first part of a check's name stands for, in the order in which groups are shown."""

_URGENCY: dict[Answer, int] = {"fail": 0, "warn": 1, "unknown": 1, "pass": 2}


@dataclass(frozen=True)
class Row:
    """One line: a check of its own, or a group of checks."""

    key: str
    """The check's name, or the group's subject."""
    title: str
    answer: Answer | None
    """None while something of it is still being looked at."""
    text: str
    checks: tuple[Check, ...]
    """The one check, or those of the group that are fine."""
    group: bool = False
    inner: bool = False
    """Whether it stands below the group that it belongs to."""


def rows(questions: Sequence[Question], checks: Mapping[str, Check], opened: Collection[str] = ()) -> list[Row]:
    """What needs attention, failures before cautions; below it a line for each subject. The checks of an opened
    subject follow it."""
    troubled = [question for question in questions if (check := checks.get(question.name)) and check.answer != "pass"]
    troubled.sort(key=lambda question: _URGENCY[checks[question.name].answer])
    shown = [_own_row(question, checks) for question in troubled]
    for subject, members in _by_subject(questions).items():
        shown += _group_rows(subject, members, checks, opened=subject in opened)
    return shown


def grouped_lines(checks: Iterable[Check]) -> list[str]:
    """The whole checklist as text, under the headings of the subjects."""
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(subject_of(check.name), []).append(check)
    lines = []
    for subject in sorted(groups, key=_place):
        lines += ["", SUBJECTS.get(subject, subject)]
        lines += [line for check in groups[subject] for line in answer_lines(check)]
    return lines[1:]


def subject_of(name: str) -> str:
    """What a check of this name is about."""
    return name.partition(".")[0]


def _by_subject(questions: Iterable[Question]) -> dict[str, list[Question]]:
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(subject_of(question.name), []).append(question)
    return dict(sorted(groups.items(), key=lambda item: _place(item[0])))


def _place(subject: str) -> int:
    return list(SUBJECTS).index(subject) if subject in SUBJECTS else len(SUBJECTS)


def _group_rows(subject: str, members: Sequence[Question], checks: Mapping[str, Check], *, opened: bool) -> list[Row]:
    answered = [question for question in members if question.name in checks]
    fine = [question for question in answered if checks[question.name].answer == "pass"]
    if len(answered) == len(members) and len(fine) <= 1:
        return [_own_row(question, checks) for question in fine]
    found = tuple(checks[question.name] for question in fine)
    title = SUBJECTS.get(subject, subject)
    if len(answered) < len(members):
        return [Row(subject, title, None, f"looking: {len(answered)} of {len(members)} answered", found, group=True)]
    group = Row(subject, title, "pass", _in_short(found, whole=len(fine) == len(members)), found, group=True)
    return [group, *(_own_row(question, checks, inner=True) for question in fine)] if opened else [group]


def _in_short(fine: Sequence[Check], *, whole: bool) -> str:
    waived = next((check.waived for check in fine if check.waived), "")
    if waived:
        return waived
    count = f"all {len(fine)} fine" if whole else f"the other {len(fine)} fine"
    return f"{count}: {', '.join(check.seen for check in fine)}"


def _own_row(question: Question, checks: Mapping[str, Check], *, inner: bool = False) -> Row:
    check = checks[question.name]
    return Row(check.name, question.title, check.answer, check.seen, (check,), inner=inner)
