"""Every problem in words for people: what is wrong, and what to do about it.

A test finds an entry for each code in ``trainer.spec.problem.ENGLISH``. The texts are filled from the problem's
``where``, ``value`` and params.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainer.spec.problem import Problem


@dataclass(frozen=True)
class Words:
    """What is wrong and what to do, each a sentence or two."""

    what: str
    remedy: str


TEXTS: dict[str, Words] = {
    # presets
    "preset.unreadable": Words("{where} cannot be read: {reason}.", "Check the path and its permissions."),
    "preset.not_found": Words(
        "There is no preset called {value}.", "Shipped presets are {known}; or give a file's path."
    ),
    "preset.not_toml": Words("{where} is not valid TOML: {reason}.", "Correct the line it names."),
    "preset.wrong_schema": Words(
        "{where} is {value}, which this program does not know.", "Write schema = {known} at the top of the file."
    ),
    "preset.unknown_key": Words(
        "{where}: there is no setting {value}{suggestion}", "Correct the name; docs/presets.md lists every setting."
    ),
    "preset.wrong_type": Words("{where}: {value} does not fit.", "Write {expected}."),
    "preset.out_of_range": Words("{where}: {value} is out of range.", "Choose a value that is {expected}."),
    "preset.missing": Words("{where} has no value.", "Fill it in, for example {example}."),
    "preset.extends_loop": Words("{where} extends itself through {value}.", "Remove one 'extends' line of the circle."),
    # run directories
    "run.unresolved": Words(
        "{where} is incomplete: [resolved] lacks {lacking}.", "Start the run anew from its preset."
    ),
    "run.extends": Words(
        "{where} extends {value}, which a run's own file may not.", "Start the run anew from its preset."
    ),
    # devices
    "gpu.none": Words(
        "GPUs are wanted, but {reason}.",
        'Train on the CPU with launch.gpus = "none", or repair the driver: nvidia-smi must list the GPUs.',
    ),
    "gpu.absent": Words(
        "There is no GPU {value} on this machine (found: {found}).", 'Name one that is there, or write gpus = "all".'
    ),
    # layout
    "layout.heads_hidden": Words(
        "A hidden size of {hidden} cannot be shared by {heads} attention heads.",
        "Choose a hidden size that is a multiple of the heads.",
    ),
    "layout.tensor_heads": Words(
        "Tensor-parallel size {value} does not divide the {heads} attention heads.", "Choose one of {possible}."
    ),
    "layout.batch": Words(
        "A global batch of {value} rows cannot be split into micro batches of {micro} on {data} data-parallel groups.",
        "Choose a global batch that is a multiple of {micro} x {data}.",
    ),
    "layout.learning_rates": Words(
        "The minimum learning rate {value} is above the learning rate {rate}.", "Lower train.min_learning_rate."
    ),
    "layout.warmup": Words(
        "A warm-up of {value} steps does not end before the decay of {decay} steps does.", "Lower train.warmup."
    ),
    "layout.devices": Words(
        "The layout needs {value} processes, but there are {devices} devices.",
        "Choose a smaller tensor-parallel or data-parallel size, or more devices.",
    ),
    "layout.memory": Words(
        "Each {device} would need {value} GiB of memory, and {available} GiB are there.",
        "Choose a larger tensor-parallel size, a smaller micro batch or a smaller model.",
    ),
}


def describe(problem: Problem) -> Words:
    """The texts of a problem, filled in."""
    words = TEXTS[problem.code]
    facts = {"where": problem.where, "value": problem.value, **problem.params}
    return Words(words.what.format(**facts), words.remedy.format(**facts))
