"""The words of the live view, explained."""

from __future__ import annotations

import textwrap

WIDTH, TERM_COLUMN = 66, 17
"""Columns of the text, and of the words that it explains."""

LIVE_VIEW = (
    (
        "MLM loss",
        "How far off the model is when it guesses words that are hidden from it (masked language model). "
        "It shall fall; a pause at 6 to 7 early on is normal.",
    ),
    ("word frequency", "The loss of one who only knows how often each word occurs. Below it, the model reads."),
    ("sentence order", "How far off it is in telling whether two sentences were swapped. 0.69 is tossing a coin."),
    ("validation", "The same on text that is kept back from training, the same each time: what really counts."),
    ("words right", "So many of the hidden words it guesses exactly."),
    ("order right", "So many pairs of sentences it judges well; 50 % is tossing a coin, which may last for long."),
    ("perplexity", "The MLM loss as a number of words: it is as unsure as among so many, all equally likely."),
    (
        "left (a to b)",
        "The time to the end; in brackets at the pace of the quick and of the slow among the last 1,000 steps.",
    ),
    (
        "median",
        "The value in the middle. What takes more than three times this run's own median is told of, and a speed far "
        "below it.",
    ),
    ("tokens/s", "Words and pieces of words that are read each second."),
    ("learning rate", "How large a step each update takes: it rises at first, then falls, as the preset says."),
    ("tensor", "How many processors hold one model together, a part of each layer each."),
    ("data", "How many such groups there are; each reads rows of its own."),
    ("sequence", "The processors that share layers also share out the tokens in between: less memory each."),
    ("shards", "The groups share out weights, gradients and optimizer, and gather one layer at a time."),
    ("micro batch", "How many rows a group takes at a time, x how often it does so in one step."),
    ("local, docker", "Without a container, or in one."),
    ("TFLOP/s", "Calculations a second, in millions of millions; the peak is what the GPU's maker states."),
    ("wait for data", "Reading the text takes longer than learning from it: use a faster disk or more CPU cores."),
    (
        "left out",
        "Updates that had no finite numbers. In fp16 some 20 at the start are normal; if more come, lower the learning "
        "rate.",
    ),
    (
        "curves",
        "The mean of neighbouring steps; dots around it show how far single steps reach. A gap: no finite number.",
    ),
)

CURVES = (
    (
        "the line",
        "The mean of neighbouring steps; dots around it show how far single steps reach. A gap: no finite number. "
        "Looking closer (+) reads single steps from the file.",
    ),
    ("smoothing", "Takes the noise out. The curve as it was recorded stays behind as faint dots."),
    ("exponential", "Each step counts a little less than the next: 0.9 looks back over about 10 steps, 0.99 over 100."),
    ("mean of steps", "Each of the last so many steps counts the same."),
    ("validation", "On text that is kept back from training: marks, one for each validation."),
    ("word frequency", "The loss of one who only knows how often each word occurs."),
    ("chance", "What tossing a coin gives."),
    ("crosshair", "The second line from the top then tells the exact values of its step, and otherwise of the last."),
    ("a, b, c", "Other runs; the letters stand on their curves."),
    (
        "N",
        "The loss that NVIDIA recorded when it trained this very model with this batch. It is shown only where model, "
        "batch and sentence order agree with yours: other settings have other curves.",
    ),
    ("learning rate", "How large a step each update takes: it rises at first, then falls, as the preset says."),
    (
        "gradient norm",
        "How strongly one step pulls at the weights, before it is limited. Peaks are normal, a rise is not.",
    ),
    ("loss scale", "In fp16 losses are multiplied by it, so that small gradients are not lost; it halves on overflow."),
    ("logarithmic", "Equal distances are equal ratios: small changes of a low loss can be seen."),
)


def explained(words: tuple[tuple[str, str], ...]) -> str:
    """Each word with its meaning beside it."""
    return "\n".join(_entry(term, meaning) for term, meaning in words)


def _entry(term: str, meaning: str) -> str:
    return textwrap.fill(
        f"{term:<{TERM_COLUMN}}{meaning}", WIDTH, subsequent_indent=" " * TERM_COLUMN, break_on_hyphens=False
    )
