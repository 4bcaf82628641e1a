"""The wizard as numbered lines: the same questions over the same answers as the screens, for any terminal or pipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace as replace_fields
from typing import TextIO

from bert_tui import diagnostics
from bert_tui.checks.check import answer_lines
from bert_tui.checks.runner import Question, Subject, ask_all, staged
from bert_tui.exit_status import ExitStatus
from bert_tui.forecast import roughly
from bert_tui.invocation import program
from bert_tui.machine import Machine, read_machine
from bert_tui.measured import with_measured
from bert_tui.plain.dialogue import KEYS, Dialogue, Left, Refused, WentBack
from bert_tui.plan import Plan, make_plan, trial_plan
from bert_tui.wizard import choices, defaults, edit, layout, review, saving
from bert_tui.wizard.answers import PAGES, Page, answers_file
from bert_tui.wizard.choices import Choice, SizeChoice, TensorChoice
from bert_tui.wizard.fields import HEADINGS, KNOBS, MORE_KNOBS, PATHS
from bert_tui.wizard.session import Session
from bert_tui.wizard.topics import explained_topic
from trainer.spec.preset import get, replace
from trainer.spec.problem import PresetError, SpecError
from trainer.spec.run_directory import RunDirectory
from trainer.spec.sizing import GIB


def ask_by_lines(lines: TextIO, out: TextIO) -> int:
    """Asks everything, starts the run and follows it; the exit status of the program. Answers are kept as they are
    given, so that the next sitting, of either kind, goes on from them."""
    dialogue = Dialogue(lines, out, explained_topic)
    session = Session(answers_file())
    try:
        watched = PlainWizard(dialogue, session).run()
    except Left:
        session.close()
        kept = f"Your answers are not kept: {session.unsaved}." if session.unsaved else "Your answers are kept."
        dialogue.say(f"Left; nothing was started. {kept}")
        return ExitStatus.REFUSED
    except Refused as refused:
        diagnostics.tell(f"nothing was started; answer {refused.line}, {refused.answer!r}: {refused.reason}")
        return ExitStatus.REFUSED
    from bert_tui.plain.progress import follow_run

    return follow_run(watched, out, json=False)


class PlainWizard:
    """One sitting: the page that is asked about, over the answers of a session."""

    def __init__(
        self,
        dialogue: Dialogue,
        session: Session,
        *,
        machine: Machine | None = None,
        questions: Sequence[Question] | None = None,
        last_questions: Sequence[Question] | None = None,
    ) -> None:
        from bert_tui.checks.checklist import LAST_CHECKS, MACHINE_CHECKS

        self._dialogue = dialogue
        self._session = session
        self._machine = machine
        self._questions = MACHINE_CHECKS if questions is None else questions
        self._last_questions = LAST_CHECKS if last_questions is None else last_questions

    def run(self) -> RunDirectory:
        """The run that was started, or one that is to be watched.

        Raises:
            Left: the operator left.
            Refused: an answer from a pipe cannot be taken.
        """
        self._dialogue.say(f"Train a BERT model. Enter takes what stands in brackets; {KEYS}.\n")
        if self._session.set_aside:
            self._dialogue.say(f"! {self._session.set_aside}\n", indent=2)
        watched = self._offer_runs()
        if watched is not None:
            return watched
        self._look()
        return self._ask_pages()

    def _ask_pages(self) -> RunDirectory:
        """Page after page, back where asked."""
        asks: dict[Page, Callable[[], RunDirectory | None]] = {
            "environment": self._ask_environment,
            "data": self._ask_data,
            "model": self._ask_model,
            "tensor": self._ask_tensor,
            "review": self._ask_review,
        }
        number = 1
        while True:
            page = PAGES[number]
            self._session.turn_to(page)
            self._dialogue.say(f"\n{number} of {len(asks)}. {HEADINGS[page]}")
            try:
                run = asks[page]()
            except WentBack:
                number = max(1, number - 1)
                continue
            if run is not None:
                self._session.turn_to("welcome")
                return run
            number += 1

    # Runs that are there -------------------------------------------------------------------------------------------

    def _offer_runs(self) -> RunDirectory | None:
        from bert_tui.runs.registry import find_runs
        from bert_tui.runs.state import state_of

        live = [view for view in map(state_of, find_runs()) if view.state.active]
        if not live:
            return None
        new = Choice("", "A new training", "goes through the questions")
        there = [Choice(view.run.id, "Watch the training", f"{view.run.id}, {view.state}") for view in live]
        try:
            chosen = self._dialogue.choose("What do you want to do?", [*there, new], live[0].run.id, "welcome")
        except WentBack:
            return None
        return next((view.run for view in live if view.run.id == chosen), None)

    # The machine ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Asks every question of the checklist, then makes or fits the answers."""
        session = self._session
        self._dialogue.say("Looking at this machine…")
        session.machine = self._machine or read_machine()
        first, last = staged(self._questions)
        session.checks = {check.name: check for check in ask_all(first, session.subject())}
        session.settle()
        if last:
            session.checks |= {check.name: check for check in ask_all(last, session.subject())}

    def _ask_environment(self) -> None:
        session = self._session
        self._tell_checks()
        launch, there = session.preset.launch, choices.launchers(session.checks)
        launcher = self._dialogue.choose("Train", there, launch.launcher, "launch.launcher")
        if launcher != launch.launcher:
            session.change(replace(session.preset, launch__launcher=launcher))
        if session.known_machine.gpus:
            self._ask_gpus()
        if launcher == "docker":
            self._ask_image()
        if session.outdated:
            self._look()
        self._require_fit()

    def _ask_image(self) -> None:
        session, launch = self._session, self._session.preset.launch
        image = self._dialogue.ask("Image", launch.image, _unprintable, "launch.image")
        if "docker.image" in session.checks:
            from bert_tui.plain.image import ask_for_image

            answer = "" if image == "auto" else image
            image = ask_for_image(self._dialogue, answer, session.known_machine, launch.gpus != "none") or "auto"
        session.change(replace(session.preset, launch__image=image))

    def _tell_checks(self) -> None:
        checks = self._session.judged_checks()
        for check in checks:
            if check.answer != "pass":
                self._dialogue.say("\n".join(answer_lines(check)), indent=4)
        passed = sum(check.answer == "pass" for check in checks)
        self._dialogue.say(f"{passed} of {len(checks)} checks are ok.")

    def _ask_gpus(self) -> None:
        session, machine = self._session, self._session.known_machine
        free = {str(gpu.index): gpu.uuid for gpu in machine.free_gpus}
        for choice in choices.gpus(machine):
            self._dialogue.say(f"  {choice.title}: {choice.detail} {choice.reason}".rstrip())
        usual = _gpu_text(session.preset.launch.gpus, machine)
        text = self._dialogue.ask(
            "GPUs (all, none, or numbers such as 0 1)", usual, lambda typed: _gpu_problem(typed, free), "launch.gpus"
        )
        taken = tuple(uuid for index, uuid in free.items() if text == "all" or index in text.split())
        gpus = "all" if len(taken) == len(machine.gpus) else taken or "none"
        session.change(defaults.with_possible_tensor(replace(session.preset, launch__gpus=gpus), machine))

    def _require_fit(self) -> None:
        """Holds the operator here while something that the run needs has failed."""
        failed = [check for check in self._session.judged_checks() if check.answer == "fail"]
        if not failed:
            return
        for check in failed:
            self._dialogue.say("\n".join(answer_lines(check)), indent=4)
        again = Choice("again", "Look again", "once it is repaired")
        self._dialogue.choose("This has to be repaired first.", [again], "again", "checks")
        self._look()
        self._ask_environment()

    # What to train -------------------------------------------------------------------------------------------------

    def _ask_data(self) -> None:

        session = self._session
        sources = [
            Choice("sample", "Sample text", "English documentation that is on this machine"),
            Choice("files", "My own dataset", f"in Megatron-LM's format; from text: {program()} data build"),
        ]
        source = self._dialogue.choose("Text", sources, session.preset.data.source, "data.source")
        session.take(defaults.with_source(session.answers, "sample" if source == "sample" else "files"))
        for name, shown in PATHS.items():
            if source == "files" or not name.startswith("data."):
                self._ask_path(name, f"{shown.label} ({shown.hint})")

    def _ask_path(self, name: str, question: str) -> None:
        from bert_tui.checks.data import check_path_field, typed_data_path

        session, value = self._session, get(self._session.preset, name)

        def problem(text: str) -> str:
            found = check_path_field(name, text, session.preset.data)
            return choices.sentence(found) if found else ""

        several = isinstance(value, tuple)
        text = self._dialogue.ask(question, " ".join(value) if several else value or "", problem, name)
        session.change(replace(session.preset, **{name.replace(".", "__"): typed_data_path(text) if several else text}))

    def _ask_model(self) -> None:
        session, machine = self._session, self._session.known_machine
        sizes = [_size_choice(size) for size in choices.sizes(session.answers, machine)]
        size = self._dialogue.choose("Size", sizes, session.answers.size, "sizes")
        if size != session.answers.size:
            session.take(defaults.with_size(session.answers, size, machine))
        self._offer_setting_back()
        for name, label in KNOBS.items():
            self._ask_knob(name, label)
        if self._wants_more("More settings: layers, width, heads, batches, rates"):
            for name, label in MORE_KNOBS.items():
                self._ask_knob(name, label)

    def _offer_setting_back(self) -> None:
        """A size with settings of its own is named, and can be had as it was."""
        session, machine = self._session, self._session.known_machine
        changed = choices.changes_in_words(session.answers, machine)
        if not changed:
            return
        ways = [Choice("keep", "Keep that", ""), Choice("back", "As shipped", "sets them back")]
        if self._dialogue.choose(f"{changed}.", ways, "keep", "sizes") == "back":
            session.take(defaults.with_size(session.answers, session.answers.size, machine))

    def _wants_more(self, question: str) -> bool:
        ways = [Choice("no", "Leave them", "they suit most"), Choice("yes", "Go through them", "")]
        return self._dialogue.choose(question, ways, "no", "more") == "yes"

    def _ask_knob(self, name: str, label: str) -> None:
        session, size = self._session, self._session.answers.size
        usual = edit.shown(session.preset, name)
        text = self._dialogue.ask(label, usual, lambda typed: edit.problem_of(session.preset, name, typed, size), name)
        if text != usual:
            changed = edit.set_field(session.preset, name, text, size)
            session.change(defaults.with_possible_tensor(changed, session.known_machine))

    def _ask_tensor(self) -> None:
        session = self._session
        machine = session.known_machine
        sizes = choices.tensor_sizes(session.preset, machine, lambda plan: with_measured(plan, machine))
        unit = "process" if session.preset.launch.gpus == "none" else "GPU"
        if best := layout.recommended(sizes, unit):
            self._dialogue.say(f"Recommended: {best.tensor}. {best.reason}")
        tensor = self._dialogue.choose(
            "Tensor-parallel size: how many hold one model together",
            [_tensor_choice(size, unit) for size in sizes],
            str(session.preset.parallel.tensor),
            "parallel.tensor",
        )
        if int(tensor) != session.preset.parallel.tensor:
            session.change(defaults.with_tensor(session.preset, int(tensor)))
        self._dialogue.say(layout.in_words(trial_plan(session.preset, machine), unit))
        if self._wants_more("What saves memory: sharing weights out, sequence parallel, computing twice"):
            self._ask_layout()

    def _ask_layout(self) -> None:
        session = self._session
        for field in layout.SETTINGS:
            setting = layout.setting_of(session.preset, session.known_machine, field)
            offered = [Choice(value.value, value.title, "") for value in setting.values]
            if len(offered) > 1:
                value = self._dialogue.choose(setting.label, offered, setting.value, field)
                session.change(layout.with_setting(session.preset, field, value))

    # The last look -------------------------------------------------------------------------------------------------

    def _ask_review(self) -> RunDirectory | None:
        plan, refusal = self._plan()
        if plan is not None:
            from bert_tui.runs.job import describe_plan

            self._dialogue.say("\n".join(review.sentences(plan)), indent=11)
            self._dialogue.say("The command that does it:")
            self._dialogue.say_exactly(describe_plan(plan))
            self._dialogue.say("\n".join(review.changes(self._session.answers).lines), indent=4)
        if refusal:
            self._dialogue.say(f"x {refusal}", indent=2)
        while True:
            ways = [
                Choice("start", "Start training", "it runs in the background", refusal),
                Choice("save", "Save as a preset", "to start it again without questions"),
                Choice("leave", "Leave", "your answers are kept"),
                Choice("show", "Show it as a preset", "what saving would write"),
            ]
            way = self._dialogue.choose("What now?", ways, "leave" if refusal else "start", "review")
            if way == "leave":
                raise Left
            if way == "save":
                self._save()
                plan = plan and replace_fields(plan, name=self._session.answers.name)
            elif way == "show":
                self._dialogue.say_exactly(saving.preset_text(self._session.answers))
            elif plan is not None:
                run, refusal = _create(plan)
                if run is not None:
                    return run
                self._dialogue.say(f"x {refusal}", indent=2)

    def _plan(self) -> tuple[Plan | None, str]:
        """The plan, and why it cannot start."""
        answers, machine = self._session.answers, self._session.known_machine
        try:
            plan = with_measured(make_plan(answers.preset, answers.name, machine), machine)
        except PresetError as error:
            return None, choices.sentence(error.problems[0])
        if refusal := choices.first_problem(plan):
            return plan, refusal
        checks = ask_all(self._last_questions, Subject(plan.preset, machine))
        failed = next((check for check in checks if check.answer == "fail"), None)
        return plan, f"{failed.title}: {failed.seen} {failed.repair}".strip() if failed else ""

    def _save(self) -> None:
        answers = self._session.answers

        def problem(text: str) -> str:
            return saving.obstacle(text, replace=False) or saving.save_preset(answers, saving.preset_path(text))

        text = self._dialogue.ask("File", saving.proposed_path(answers.name), problem, "preset-file")
        path = saving.preset_path(text)
        self._session.take(saving.named_after(path, answers))
        self._dialogue.say_exactly(f"Saved. Run it again with: {saving.replay_command(path)}")


def _create(plan: Plan) -> tuple[RunDirectory | None, str]:
    """The run, or why it could not be made."""
    from bert_tui.runs.create import create_run

    try:
        return create_run(plan), ""
    except SpecError as error:
        return None, " ".join(choices.sentence(problem) for problem in error.problems)
    except OSError as error:
        return None, f"{error.filename or 'The disk'}: {error.strerror}. Choose another folder."


def _unprintable(text: str) -> str:
    return "" if text.isprintable() else "Type it without special characters."


def _gpu_text(gpus: str | tuple[str, ...], machine: Machine) -> str:
    if isinstance(gpus, str):
        return gpus
    return " ".join(str(gpu.index) for gpu in machine.gpus if gpu.uuid in gpus)


def _gpu_problem(text: str, free: dict[str, str]) -> str:
    if text in ("all", "none") or (text and set(text.split()) <= free.keys()):
        return ""
    return f"Type all, none, or some of the free ones: {' '.join(free)}."


def _size_choice(size: SizeChoice) -> Choice:
    shape = size.shape
    detail = f"{shape.layers} layers, width {shape.hidden}, {review.count(size.parameters)} parameters, "
    detail += f"{size.memory / GIB:.1f} GiB" + (f" on each of {size.tensor}" if size.tensor > 1 else "")
    detail += ("" if size.seconds is None else f", about {roughly(size.seconds)}") + f". {size.good_for}"
    return Choice(
        size.size, size.size, detail, f"needs {size.memory / GIB:.1f} GiB; {size.reason}" if size.reason else ""
    )


def _tensor_choice(size: TensorChoice, unit: str) -> Choice:
    groups = "1 group" if size.data == 1 else f"{size.data} groups"
    detail = f"{groups}; each {unit} needs {size.memory / GIB:.1f} of {size.available / GIB:.0f} GiB"
    if size.tokens_per_second is not None:
        known = f"measured here on {size.measured.date}" if size.measured else "estimated"
        detail += f"; {size.tokens_per_second:,.0f} tokens a second ({known})"
    return Choice(str(size.tensor), f"tensor {size.tensor}", detail, size.reason)
