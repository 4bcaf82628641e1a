"""What F1, and ``?`` in plain mode, tells about a setting or a page."""

from __future__ import annotations

from bert_tui.plan import VARIABLES
from bert_tui.wizard import build_topics, data_topics, image_topics
from bert_tui.wizard.fields import ALL_KNOBS, LAYOUT_LABELS, PATHS
from trainer.spec import preset

TOPICS: dict[str, tuple[str, str]] = {
    **data_topics.TOPICS,
    **build_topics.TOPICS,
    **image_topics.TOPICS,
    "welcome": (
        "Where to begin",
        "A training that is going on can be watched from here at any time: it does not depend on this window. One "
        "that was stopped or failed can go on from its last checkpoint, the state that it saved. To set up a new one, "
        "answer a few short pages. Pressing Enter on each gives a training that suits this machine.",
    ),
    "launch.launcher": (
        "With or without a container",
        "A Docker container brings PyTorch and all it needs in an image, the same on every machine. Without one, the "
        "PyTorch that is installed beside bert-tui is used. What cannot be used here is grey, with the reason.",
    ),
    "launch.gpus": (
        "GPUs",
        "Enter opens the list. GPUs that other programs use cannot be taken. With none, the CPU trains: fine for "
        "bert-tiny, far too slow for the other sizes.",
    ),
    "parallel.tensor": (
        "Tensor-parallel size",
        "The number of processors that share every layer of the model: each holds a part of it, so a larger model "
        "fits. Groups of that size each read their own rows. Sizes that are not possible are grey, with the reason. "
        "Speeds are estimates until they are measured: F7 trains a few steps at every size that is possible, in the "
        "background, and shows what it finds (also: bert-tui calibrate PRESET).",
    ),
    "checks": (
        "The checklist",
        "Each line is one question about this machine. What needs attention stands first. ok: nothing to do. !: it "
        "works, with a drawback. x: it has to be repaired first. ?: it could not be looked at, so be careful. The "
        "arrow keys move to a line; what it means and what to type stands below the list. What is fine is folded into "
        "one line for each subject: Space shows its lines. F5 asks everything again.",
    ),
    "sizes": (
        "Model sizes",
        "Layers are stacked; width is the number of values that describe one token; heads are the parts of a layer "
        "that look at other tokens. Parameters are the numbers that are learned. Memory is what each processor has to "
        "hold while training. Sizes that do not fit this machine are grey, with the reason. Tokens are how much text "
        "is read in all; the time is an estimate for this machine (the last page says at which speed), without "
        "preparation and validations. F5 sets a changed size back to what it was shipped with, F6 shows more that can "
        "be changed.",
    ),
    "more": (
        "More settings",
        "The preset has values for them that suit the model and this machine. Whoever knows what they do can go "
        "through them; everybody else leaves them.",
    ),
    "review.view": (
        "Four ways to show it",
        "The summary says in words what will happen. The command is exactly what bert-tui will run; you may copy it "
        "(F6) and run it yourself. The preset is a file that starts the same training again. Changes are the settings "
        "in which it differs from the shipped preset that it began with. The arrow keys to the left and right choose.",
    ),
    "review.text": (
        "The text",
        "What is chosen in the row above. The arrow keys and Page Down scroll it, F6 copies it.",
    ),
    "review": (
        "The last page",
        "Nothing has been started yet. F3 starts what is described here, F2 goes back to change it. F5 shows it in "
        "another way: the whole command, the answers as a preset file, or what differs from the shipped preset they "
        "began with. F6 copies what is shown (of the summary the command), F7 keeps the answers as a file. The time is "
        "guessed from the size of the model and the usual speed of its devices; once it trains, the time left is "
        "measured. Page Down shows the rest of a long text; RUN_ID in the command is the name the training gets when "
        "it starts.",
    ),
    "log": (
        "The log",
        "What the processes of the run print, as they print it; the line at the top is the file. The newest lines come "
        "in at the end while it is in view; scrolling up (arrow keys, Page Up) holds the text still. End goes back to "
        "the newest line, Home to the first one kept, F2 or Escape to the run. Nothing here changes the run.\n\n"
        'A line that begins with "iteration" is a step of the training: its number, its time, its loss. Warnings of '
        "libraries are usual at the start; what ended a run stands in the last lines, and in words on its own page.",
    ),
    "runs": (
        "The list of runs",
        "Every training that was started from here, the newest first: what it does, how far it is, its last loss, and "
        "for how long it has been like that. Up and Down move, Enter watches the run under the cursor, F6 lets it "
        "save a checkpoint and end, F5 lets one that has ended go on, F2 or Escape goes back. Keys that do not apply "
        "to the run under the cursor are not shown. F8 deletes a run that is over, after asking.\n\n"
        "finished: all steps are done. stopped: ended on request. failed: ended by an error; Enter tells which. "
        "lost: it gives no sign of life, and its machine cannot be asked.",
    ),
    "stop": (
        "Stopping",
        "The run finishes its step, writes a checkpoint and ends. Nothing is lost, and it can go on later (F5 on its "
        "page, or: bert-tui resume).",
    ),
    "kill": (
        "Killing",
        "The processes are ended at once. What was learned since the last checkpoint is lost; the checkpoint stays. "
        "Meant for a run that does not react to Stop.",
    ),
    "resume": (
        "Resuming",
        "The run starts again from its last complete checkpoint, in the same folder and with the same settings. To "
        "change some, use the command line: bert-tui resume RUN --set train.steps=20000",
    ),
    "delete": (
        "Deleting",
        "The run's folder goes, with its checkpoints, its log and its curves, and the run's folder among TensorBoard's "
        "files. Your dataset, your vocabulary and what other runs use stay. What is deleted cannot be had again; to "
        "keep the weights, export them before: bert-tui export RUN --output DIR",
    ),
    "compare": (
        "Comparing runs",
        "The curves of up to three other runs are laid over this one's, each with a letter of its own. Runs of the "
        "same model come first; a loss of another model, vocabulary or batch says little about this one.",
    ),
    "dialog": (
        "Keys",
        "Tab moves between the buttons, Enter takes what is named beside them, Escape calls off.",
    ),
    "preset-file": (
        "Preset files",
        "A preset is a text file that describes a training completely. In the folder that is proposed, its name alone "
        "is enough to start it: bert-tui run my-bert. Any other path will do; .toml is added where it is missing. In a "
        "preset that is there already only what differs is changed, and your comments stay.",
    ),
    "buttons": (
        "Keys",
        "Enter goes on, F2 goes back, F3 goes on from anywhere, Tab moves between fields, arrow keys move within a "
        "list. Ctrl+Q leaves; your answers are kept, and a training goes on.",
    ),
}
"""What is explained that is no single setting."""
LABELS = {name: shown.label for name, shown in PATHS.items()} | ALL_KNOBS | LAYOUT_LABELS | {"launch.image": "Image"}
"""What settings are called on the pages."""


def explained_topic(topic: str) -> tuple[str, str]:
    """Title and text for a topic or a setting such as ``train.steps``."""
    if topic in TOPICS:
        return TOPICS[topic]
    setting = preset.setting_of(topic)
    lines = [setting.help, f"Example: {setting.example}"]
    if variable := VARIABLES.get(topic):
        lines.append(f"Where the variable {variable} is set, it fills this field.")
    return LABELS[topic], "\n\n".join([*lines, f"In a preset file: {topic}"])
