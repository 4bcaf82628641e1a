"""``calibrate`` as lines of text, or as JSON at its end."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO

from bert_tui import diagnostics
from bert_tui.advice.words import describe
from bert_tui.checks.checklist import check_run
from bert_tui.exit_status import ExitStatus
from bert_tui.machine import Machine
from bert_tui.measured import circumstances, measured_folder, with_measured
from bert_tui.places import cache_folder
from bert_tui.plan import Plan, make_plan
from bert_tui.runs.calibrate import NAME
from bert_tui.runs.calibration import Outcome, calibrate, layout_in_words
from bert_tui.wizard import choices, defaults, layout
from trainer.spec.preset import Preset, missing, replace
from trainer.spec.problem import PresetError, Problem
from trainer.spec.sizing import GIB


def calibrate_by_lines(preset: Preset, machine: Machine, out: TextIO, *, as_json: bool) -> int:
    """Measures every tensor-parallel size that is possible, tells of each, and recommends one.

    Raises:
        PresetError: the dataset is not named, or no layout is possible.
        RunError: another calibration is at work.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    plans = candidates(preset, machine)
    failed = [answer for answer in check_run(machine, plans[0].preset) if answer.answer == "fail"]
    if failed:
        diagnostics.tell_failed_checks(failed)
        return ExitStatus.REFUSED

    def tell(outcome: Outcome) -> None:
        if not as_json:
            print(_line(outcome), file=out, flush=True)

    outcomes = calibrate(plans, machine, tell)
    measured = any(outcome.measured for outcome in outcomes)
    if as_json:
        print(json.dumps(_as_json(outcomes, machine), ensure_ascii=False, indent=2), file=out)
    elif measured and (best := _recommended(preset, machine)):
        print(f"Recommended: {best.tensor}. {best.reason}\nKept in {measured_folder()}.", file=out)
    return ExitStatus.FINISHED if measured else ExitStatus.FAILED


def candidates(preset: Preset, machine: Machine) -> list[Plan]:
    """The plans to measure: every possible tensor-parallel size, at the micro batch planned for it.

    Raises:
        PresetError: the dataset is not named, or no layout is possible.
    """
    somewhere = str(cache_folder())
    preset = replace(
        preset,
        checkpoint__path=preset.checkpoint.path or somewhere,
        logs__tensorboard_path=preset.logs.tensorboard_path or somewhere,
        parallel__data="auto",
    )
    if open_fields := missing(preset):
        raise PresetError(*open_fields)
    sizes = choices.tensor_sizes(preset, machine)
    possible = [size.tensor for size in sizes if not size.reason]
    plans = (make_plan(defaults.with_tensor(preset, tensor), NAME, machine) for tensor in possible)
    sound = [plan for plan in plans if not plan.problems]
    if not sound:
        raise PresetError(Problem("calibrate.none", "parallel.tensor", "", {"reason": sizes[0].reason}))
    return sound


def _line(outcome: Outcome) -> str:
    plan, found = outcome.plan, outcome.measured
    if found is None:
        assert outcome.problem is not None
        told = describe(outcome.problem)
        return f"{layout_in_words(plan)}: not measured. {told.what} {told.remedy}"
    estimate = "nothing known" if plan.step_seconds is None else f"{plan.step_seconds:.3f} s"
    return (
        f"{layout_in_words(plan)}, {plan.micro_batch} rows at once: {found.tokens_per_second:,.0f} tokens/s, "
        f"{found.step_seconds:.3f} s a step (expected: {estimate}), {found.memory / GIB:.2f} GiB each "
        f"(expected: {plan.memory.total / GIB:.2f})"
    )


def _as_json(outcomes: Sequence[Outcome], machine: Machine) -> dict[str, Any]:
    return {
        "circumstances": circumstances(outcomes[0].plan, machine),
        "layouts": [
            {
                "layout": asdict(outcome.plan.layout),
                "micro_batch": outcome.plan.micro_batch,
                "measured": None if outcome.measured is None else asdict(outcome.measured),
                "problem": None if outcome.problem is None else outcome.problem.as_json(),
                "expected": {
                    "tokens_per_second": outcome.plan.tokens_per_second,
                    "step_seconds": outcome.plan.step_seconds,
                    "memory": outcome.plan.memory.total,
                },
            }
            for outcome in outcomes
        ],
    }


def _recommended(preset: Preset, machine: Machine) -> layout.Recommendation | None:
    sizes = choices.tensor_sizes(preset, machine, lambda plan: with_measured(plan, machine))
    return layout.recommended(sizes, "process" if preset.launch.gpus == "none" else "GPU")


def _interrupt(*_: Any) -> None:
    """Ended by a signal, the run at work is cleared away as with Ctrl-C."""
    raise KeyboardInterrupt
