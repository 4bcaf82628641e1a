"""Every problem in words for people: what is wrong, and what to do about it.

A test finds an entry for each code in ``trainer.spec.problem.ENGLISH``. The texts are filled from the problem's
``where``, ``value`` and params, and from how this program (``program``) and its Python (``python``) are called here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bert_tui.invocation import program, python
from trainer.spec.problem import Problem


@dataclass(frozen=True)
class Words:
    """What is wrong and what to do, each a sentence or two."""

    what: str
    remedy: str


TEXTS: dict[str, Words] = {
    # presets
    "preset.unreadable": Words("{where} cannot be read: {reason}.", "Check the path and its permissions."),
    "preset.too_large": Words(
        "{where} is larger than {megabytes} MB, which no preset is.", "Give the path of a preset, a short TOML file."
    ),
    "preset.not_found": Words(
        "There is no preset called {value}{suggestion}",
        "Presets here are {known} ({program} presets); or give a file's path.",
    ),
    "preset.base_not_found": Words(
        "{where}: there is no preset {value}{suggestion}", "Name one of {known}, or give a file's path."
    ),
    "preset.not_toml": Words("{where} is not valid TOML: {reason}.", "Correct the line it names."),
    "preset.no_schema": Words(
        "{where} does not say which schema it follows.", "Write schema = {known} at the top of the file."
    ),
    "preset.newer_schema": Words(
        "{where} is {value}: it was written for a newer bert-tui, this one reads schema {known}.",
        "Install the newer bert-tui, or write the preset anew in this one's wizard (F7 on its last page).",
    ),
    "preset.wrong_schema": Words(
        "{where} is {value}, which this program does not know.", "Write schema = {known} at the top of the file."
    ),
    "preset.unknown_key": Words(
        "{where}: there is no setting {value}{suggestion}", "Correct the name; docs/presets.md lists every setting."
    ),
    "preset.wrong_type": Words("{where}: {value} does not fit.", "Write {expected}."),
    "preset.out_of_range": Words("{where}: {value} is out of range.", "Choose a value that is {expected}."),
    "preset.missing": Words(
        "{where} has no value.",
        "Give one, such as {example}: in a preset file, or, where README.md names a variable for it, with export.",
    ),
    "preset.extends_loop": Words("{where} extends itself through {value}.", "Remove one 'extends' line of the circle."),
    "preset.not_editable": Words(
        "{where} cannot be changed without losing what else stands in it.", "Save under another name."
    ),
    "preset.shipped": Words(
        "{value} came with the program and stays as it is.",
        'Make a file of your own that begins with schema = 1 and extends = "{value}".',
    ),
    "preset.not_written": Words("{where} cannot be written: {reason}.", "Choose another folder, or: ls -ld {where}"),
    "preset.not_a_run": Words(
        "{where} is not the run.toml of a run, so there is nothing to compare with.",
        "Give the run.toml in the folder of a run, or leave out --strict.",
    ),
    "replay.differs": Words(
        "This would not be the same as run {where}: {value}.",
        "Bring it back to what it was, or leave out --strict.",
    ),
    # vocabularies
    "vocabulary.absent": Words("There is no file {where}.", "Give the path of a BERT vocabulary, often vocab.txt."),
    "vocabulary.folder": Words("{where} is a folder.", "Give the vocabulary file in it, often vocab.txt."),
    "vocabulary.no_file": Words("{where} is not a plain file.", "Give the path of a text file."),
    "vocabulary.unreadable": Words("{where} cannot be read: {reason}.", "Check its permissions: ls -l {where}"),
    "vocabulary.too_large": Words(
        "{where} has {megabytes} MB, too large for a vocabulary.", "Give the text file with one piece a line."
    ),
    "vocabulary.not_utf8": Words(
        "{where} is not UTF-8 text (bytes {value}).",
        "If it is the right file, convert it (iconv -f latin1 -t utf-8 OLD > NEW).",
    ),
    "vocabulary.empty": Words("{where} is empty.", "Give a vocabulary with one piece a line."),
    "vocabulary.json": Words(
        "{where} is a JSON file, not a WordPiece vocabulary.",
        "Give the vocab.txt that belongs to it, or make one ({program} data vocabulary {where} --fix NEW).",
    ),
    "vocabulary.pad_not_first": Words(
        "{where}: [PAD] must be on line 1, where {value} is now.",
        "Use the vocabulary the data was made with; in BERT's, [PAD] comes first.",
    ),
    "vocabulary.special_missing": Words(
        "{where} has no line {value}, which BERT needs.",
        "Use a BERT (WordPiece) vocabulary, the one the data was made with.",
    ),
    "vocabulary.duplicate": Words(
        "{where}: {value} is already on line {first_line} ({count} repeated lines in all).",
        "Restore the original file: a repeated line shifts the numbers of all that follow.",
    ),
    "vocabulary.no_continuation": Words(
        "{where} has no piece that begins with ##, so every piece counts as a word.",
        "Check that it is a WordPiece vocabulary.",
    ),
    "vocabulary.other_kind": Words(
        "{where} has neither pieces that begin with ## nor [UNK], [CLS], [SEP] or [MASK], so it is of another kind.",
        "Give a WordPiece vocabulary, as BERT has it (often called vocab.txt).",
    ),
    "vocabulary.byte_order_mark": Words(
        "{where} begins with an invisible mark, as Windows programs write it.",
        "It is passed over here; other programs take it for a part of the first piece.",
    ),
    "vocabulary.windows": Words(
        "{where}: {value} lines end as Windows programs write them.",
        "This is passed over here; other programs take the sign for a part of the piece.",
    ),
    "vocabulary.columns": Words(
        "{where}: {value} lines have a number after the piece.", "Take the second column away (cut -f1 {where} > NEW)."
    ),
    "vocabulary.blanks": Words(
        "{where}: {value} pieces have blanks around them (the first is on this line), which some programs take for a"
        " part of the piece.",
        "Take the blanks away.",
    ),
    "vocabulary.blank_lines": Words(
        "{where}: {value} blank lines among the pieces (the first is this one).",
        "Fill them, as with [unused0]; deleting them would shift the numbers of all that follow.",
    ),
    "vocabulary.lines_lost": Words(
        "{where} has {value} pieces, a few fewer than {name}, which has {published}: it may have lost lines, and then"
        " all pieces after the first of these have wrong numbers.",
        "Look at a dataset with it ({program} data inspect), and get the original file if they do not fit.",
    ),
    "vocabulary.needs_renumber": Words(
        "Repairing {where} gives pieces other numbers, so datasets made with it would no longer fit.",
        "Add --renumber to do it all the same, and build the datasets anew; or find the original vocabulary.",
    ),
    "vocabulary.output_exists": Words("{where} is there already.", "Give the path of a file that is not there yet."),
    "vocabulary.not_written": Words("{where} cannot be written: {reason}.", "Give a path in a folder of your own."),
    "vocabulary.size": Words(
        "{where} has {value} pieces, but model.vocab_size is {wanted}.",
        "Leave model.vocab_size out, or set it to {value}.",
    ),
    # datasets
    "data.split": Words("{where}: {value} is no split.", "Write three numbers, for example 949,50,1."),
    "blend.order": Words(
        "{where}: {value}, item {place}, is out of place.",
        'Write a weight before each path, as in ["0.3", "/data/a", "0.7", "/data/b"], or paths alone.',
    ),
    "blend.weight": Words(
        "{where}: the weight {value} (item {place}) is not above zero.",
        "Write a number above zero, or leave out that dataset.",
    ),
    "dataset.suffix": Words("{where} ends in {value}.", "Give the path without it: {prefix}"),
    "dataset.folder": Words("{where} is a folder. Datasets in it: {found}.", "Give one of them, or another folder's."),
    "dataset.absent": Words(
        "There is no file {where}.",
        "Give the path that {where} would have without its ending; see what is there with ls.",
    ),
    "dataset.no_file": Words("{where} is not a plain file.", "Give the path of a dataset without .bin and .idx."),
    "dataset.unreadable": Words("{where} cannot be read: {reason}.", "Check its permissions: ls -l {where}"),
    "dataset.magic": Words(
        "{where} is no index file of Megatron's.", "Give a dataset made by Megatron's tools/preprocess_data.py."
    ),
    "dataset.version": Words("{where} has version {value}.", "Build the dataset anew; version {known} can be read."),
    "dataset.dtype": Words("{where} names number type {value}, which holds no piece ids.", "Build the dataset anew."),
    "dataset.idx_size": Words(
        "{where} has {value} bytes and should have {expected}.", "It was cut off or damaged: copy or build it again."
    ),
    "dataset.bin_size": Words(
        "{where} has {value} bytes and should have {expected}.",
        "It was cut off, damaged, or belongs to another .idx: copy or build both again.",
    ),
    "dataset.empty": Words("{where} holds no text.", "Build the dataset again and watch for errors."),
    "dataset.other_vocabulary": Words(
        "{where} was made with another vocabulary than {value}: read with it, {starts} of the sentences begin inside a"
        " word, {words} of the word parts follow something no word goes on from, and {reserved} of the ids stand for"
        " nothing that text contains (each is 0 with the right one).",
        "Give the vocabulary that the dataset was made with, exactly as it was then; or build the dataset anew.",
    ),
    "dataset.unknown_share": Words(
        "{where}: {value} of the ids are [UNK], the sign for what {file} has no pieces for.",
        "Use a vocabulary for the text's language and case, and build the dataset with it.",
    ),
    "dataset.cut_words": Words(
        "{where}: {value} of the sentences begin inside a word, so text was cut at a fixed length.",
        "Build the dataset anew from the text; {program} data build cuts between words only.",
    ),
    "dataset.stray_specials": Words(
        "{where}: {value} of the ids are [CLS] or [SEP], which belong around samples, not into text.",
        "Build the dataset anew without special pieces (with Megatron: without --append-eod).",
    ),
    "dataset.narrow": Words(
        "{where} stores ids in {value} bytes, too few for the {pieces} pieces of {file}.",
        "Give the vocabulary that the dataset was made with; this one is larger than any it can name.",
    ),
    "dataset.empty_sentences": Words(
        "{where}: {value} of the sentences are empty.", "They do no harm; building the dataset anew leaves them out."
    ),
    "dataset.output_exists": Words("{where} is there already.", "Give the path of a dataset that is not there yet."),
    "dataset.not_written": Words(
        "{where} cannot be written: {reason}.", "Give a path in a folder of your own, on a disk with room."
    ),
    "resplit.split_already": Words(
        "{where} is split into sentences already: {value} of its documents have two or more.",
        "Use it as it is; {program} data inspect {where} --vocab VOCAB says whether anything else is wrong.",
    ),
    "resplit.no_ends": Words(
        "{where} cannot be split: a trial made {value} sentences of each. Its texts are single sentences, or have no"
        " . ! ? at their ends.",
        "Train with data.sentence_order = false, which needs no sentences; or build the dataset from other text.",
    ),
    "dataset.lengths": Words(
        "{where} is damaged: sentence {sentence} has length {value}.", "Copy or build the dataset again."
    ),
    "dataset.pointers": Words(
        "{where} is damaged: sentence {sentence} begins at byte {value} instead of {expected}.",
        "Copy or build the dataset again.",
    ),
    "dataset.documents": Words(
        "{where} is damaged: its documents run from sentence {value} to {last}, not from 0 to {sentences} in order.",
        "Copy or build the dataset again.",
    ),
    "dataset.ids": Words(
        "{where} holds id {value} (token {position}), but the vocabulary has only {vocabulary} pieces.",
        "Give the vocabulary that the dataset was made with.",
    ),
    "dataset.framed": Words(
        "{where}: {value} of the sentences carry [CLS] and [SEP], which belong around samples only.",
        "Take them out: {program} data resplit {where} --vocab VOCAB --output {where}_sentence; or build it anew, with"
        " Megatron's --tokenizer-hf-no-include-special-tokens.",
    ),
    "dataset.no_pairs": Words(
        "{where}: none of the {documents} training documents (split {value}) has two sentences,"
        " which sentence order needs.",
        "Split it: {program} data resplit {where} --vocab VOCAB --output {where}_sentence; or set"
        " data.sentence_order = false.",
    ),
    "dataset.document_level": Words(
        "{where}: only {value} of the documents have two sentences or more; the dataset seems not to be split.",
        "Split it: {program} data resplit {where} --vocab VOCAB --output {where}_sentence; or use the one ending in"
        " _text_sentence, if there is one.",
    ),
    "dataset.split_empty": Words(
        "{where}: of {documents} documents none is left for {value}.", "Change data.split, or use more documents."
    ),
    "dataset.no_rows": Words("{where} has no text for {value}.", "Change data.split, or use more documents."),
    # building a dataset from text
    "build.no_input": Words("There is no text to build from.", "Name a file, a folder or a pattern with --input."),
    "build.output_name": Words(
        "{value} cannot be the name of a dataset.",
        "Give where to put it and its name without an ending, as in --output data/wiki; .bin and .idx are added.",
    ),
    "build.vocabulary_choice": Words(
        "A dataset needs one vocabulary.",
        "Give either --vocab FILE (the vocabulary of a model you know) or --train-vocab 30522 (a new one, learned from "
        "this text).",
    ),
    "build.vocabulary_size": Words(
        "A vocabulary of {value} pieces cannot be trained.",
        "Choose {least} to {most}; 30522 is what BERT in English has, 21128 the one in Chinese.",
    ),
    "build.json_keys": Words(
        "The JSON keys do not fit: {value}.", "Name at least one with --json-key, and each only once."
    ),
    "build.json_key_name": Words(
        "The JSON key {value} cannot be part of a file's name, and with several keys each names its dataset.",
        "Build that key alone, or rename it in the text.",
    ),
    "build.workers": Words("{value} workers cannot work.", "Give --workers 1 or more; by default each core has one."),
    "build.language": Words("{value} is no code of a language.", "Give one such as en, de or zh with --language."),
    "build.choice": Words("{where}: {value} is not known.", "Choose one of {known}."),
    "build.busy": Words(
        "Another build works in {where} (process {pid} on {host}).",
        "Wait for it; {program} data builds shows how far it is.",
    ),
    "build.no_order": Words("No build was started in {where}.", "{program} data builds shows what there is."),
    "build.unwritable": Words(
        "{where} cannot be written: {reason}.", "Choose another place with --output, or change its permissions."
    ),
    "build.unreadable": Words("{where} cannot be read: {reason}.", "Check its permissions: ls -ld {where}"),
    "build.nothing_found": Words(
        "There is no file for {where}.", "Check the path. Hidden files in a folder are passed over."
    ),
    "build.no_file": Words("{where} is not a plain file.", "Give files, folders or patterns of files."),
    "build.damaged": Words(
        "{where} cannot be read to its end: {reason}.",
        "Check its permissions and whether it was copied whole; with --bad-text skip, what cannot be read is left out.",
    ),
    "build.not_text": Words(
        "{where} is not UTF-8 text: it is of another kind, such as a picture, an archive or UTF-16.",
        "Take it out of the input, or turn UTF-16 into UTF-8: iconv -f utf-16 -t utf-8. --bad-text skip leaves such "
        "files out.",
    ),
    "build.no_text": Words("The files of {where} are all empty.", "Give files with text in them."),
    "build.not_utf8": Words(
        "{where} is not UTF-8 text (bytes {value}).",
        "Repair the line, or go on with --bad-text replace (such bytes are dropped) or skip (the line is left out).",
    ),
    "build.surrogate": Words(
        "{where} has half a character ({value}).",
        "Repair the line, or go on with --bad-text replace (it is dropped) or skip (the line is left out).",
    ),
    "build.not_json": Words(
        "{where} is not JSON: {reason}.",
        "The file was taken for JSON lines, one object a line. Repair the line, leave such lines out with --bad-text "
        "skip, or read the file as plain text with --format text.",
    ),
    "build.not_object": Words(
        "{where} is not a JSON object but {value}.",
        'Each line must look like {{"text": "..."}}; leave others out with --bad-text skip.',
    ),
    "build.no_key": Words(
        "{where} has no key {value}; it has: {found}.",
        "Name the key that holds the text with --json-key, or leave such lines out with --bad-text skip.",
    ),
    "build.no_text_in_key": Words(
        "{where}: what stands under {value} is no text ({kind}).",
        "Name the key that holds the text with --json-key, or leave such lines out with --bad-text skip.",
    ),
    "build.too_long": Words(
        "{where}: a document of more than {megabytes} MB.",
        "Cut it into several (a line each, or a file each), or leave it out with --bad-text skip.",
    ),
    "build.worker_died": Words(
        "A process that tokenized was ended from outside (status {value}).",
        "-9 most often means too little memory: use fewer --workers. Start the same build again and it goes on.",
    ),
    "build.disk_full": Words(
        "The disk of {where} is full ({reason}).", "Make room, then start the same build again: it goes on."
    ),
    "build.no_space": Words(
        "The dataset needs at least {needed} GB in {where}, where {free} GB are free.",
        "Make room, or choose another disk with --output.",
    ),
    "build.exists": Words(
        "{where} is there already, and was not made by this very build.",
        "Choose another name with --output, or remove it first.",
    ),
    "build.started_over": Words(
        "The settings or the input have changed since {where} was begun.", "The build starts again from the beginning."
    ),
    "build.already": Words("{where} was built from this very text already.", "Nothing needed to be done."),
    "build.shard_gone": Words("{where} has vanished while it was needed.", "Start the same build again."),
    "build.nothing_left": Words(
        "Not a single sentence was found in {where}.", "Check the input, and --json-key, --markup and --bad-text."
    ),
    "build.crashed": Words(
        "The build failed by a mistake of this program ({value}: {reason}).",
        "Look at {where}/build.log, and tell us with that text.",
    ),
    # TensorBoard
    "board.failed": Words(
        "TensorBoard did not start for {where}: {reason}.",
        "Start it by hand to see more: {python} -m tensorboard.main --logdir {where}",
    ),
    "sample.no_text": Words(
        "{where} is not there: this Python comes without the documentation that the sample text is made of.",
        'sudo apt install libpython3-stdlib (or use your own data: data.source = "files").',
    ),
    # paths
    "path.empty": Words("{where} has no path.", "Type a path."),
    "path.characters": Words(
        "The path has a character that cannot be seen: {value}.",
        "Type it by hand, in one line; {value} cannot be seen and is not taken.",
    ),
    "path.variable": Words("{where}: the variable {value} is not set.", "Type the path itself."),
    "path.user": Words("{where}: there is no user {value} here.", "Begin with / or, at home, with ~/ (not ~NAME)."),
    "path.colon": Words(
        "{where} has a colon, which parts the entries of PYTHONPATH: no run could find its code there.",
        "Choose a folder without a colon in its path.",
    ),
    "path.too_long": Words(
        "{where} has {value} bytes, too many for a path.",
        "Type a shorter one: {path} bytes at most, and {name} for each name in it.",
    ),
    "path.silent": Words("{where}: the disk does not answer.", "Look for a network disk that is down (df -h)."),
    "path.unusable": Words("{where} cannot be used: {reason}.", "Choose another path."),
    "path.dead_link": Words("{where} is a link that leads nowhere.", "Choose another folder, or: ls -l {where}"),
    "path.no_folder": Words("{where} is a file, not a folder.", "Choose another path."),
    "path.read_only": Words("{where} is on a disk that can only be read.", "Choose a folder on another disk."),
    "path.not_writable": Words(
        "{where} cannot be written: {reason}.", "Choose a folder of your own, such as ~/bert-tui."
    ),
    # run directories
    "run.unresolved": Words(
        "{where} is incomplete: [resolved] lacks {lacking}.", "Start the run anew from its preset."
    ),
    "run.extends": Words(
        "{where} extends {value}, which a run's own file may not.", "Start the run anew from its preset."
    ),
    "run.not_found": Words("There is no run called {value}.", "{program} runs lists the runs it knows."),
    "run.ambiguous": Words("Several runs begin with {value}: {found}.", "Type more of the name."),
    "run.unreadable": Words("{where} cannot be looked at: {reason}.", "Ask its owner for permission to read it."),
    "run.unwritable": Words(
        "{where} cannot be written: {reason}.", "Choose a folder that you may write, or have its permissions changed."
    ),
    "run.locked": Words(
        "The run {where} is in use: {user} started its {value} on {host} (process {pid}).",
        "Watch it with {program} attach {where}, or stop it first with {program} stop {where}.",
    ),
    "run.active": Words(
        "The run {where} is {value}.",
        "Watch it with {program} attach {where}, or stop it first with {program} stop {where}.",
    ),
    "kill.unreachable": Words(
        "Process {value} cannot be ended from here: {reason}.",
        "Ask for a stop, which works by a file: {program} stop.",
    ),
    "run.not_yours": Words("The run {where} belongs to {value}.", "Only its owner can delete it: ask {value}."),
    "run.unremovable": Words(
        "{where} cannot be removed: {reason}.",
        "Have its permissions changed, then delete a run in the same folder again.",
    ),
    "run.not_active": Words("The run {where} is {value}.", "There is nothing to stop."),
    "calibrate.busy": Words(
        "Layouts are being measured already, by process {value}.",
        "Wait until it is done: two at a time would slow each other down.",
    ),
    "calibrate.ended": Words(
        "The trial {where} was {value} before enough of its steps could be measured.", "Measure again."
    ),
    "calibrate.slow": Words(
        "The trial {where} made only {value} steps in {minutes} minutes.",
        "Choose a smaller model or fewer rows a step for this machine.",
    ),
    "calibrate.none": Words(
        "No layout of this model is possible here: {reason}.", "Choose a smaller model, or other GPUs."
    ),
    "run.nothing_left": Words(
        "All {value} steps of {where} are done.", "To go on, raise the steps: --set train.steps=NUMBER."
    ),
    "run.fixed": Words(
        "{where} cannot change when a run is resumed: it would be another model or other data.",
        "Start a new run, or change only {changeable}.",
    ),
    "run.data_changed": Words(
        "The data at {where} is no longer what this run began with.",
        "Put the old files back, or start a new run with the new data.",
    ),
    "run.vocabulary_changed": Words(
        "The run's own copy of the vocabulary, {where}, is no longer what it began with.",
        "Put the old file back, or start a new run.",
    ),
    # starting an attempt
    "start.crashed": Words(
        "Preparing the run failed in the phase {where}: {value}: {reason}.",
        "This is a mistake in bert-tui; starter.log in the attempt's folder has the details.",
    ),
    "start.died": Words(
        "The program that prepared the run ended in the phase {where} without a word; it was killed, or the machine "
        "was started anew.",
        "{program} resume begins again where it can.",
    ),
    "start.os": Words("{where}: {reason}.", "Check the disk and the permissions there."),
    "start.no_supervisor": Words(
        "What the {value} launcher started ended at once.",
        "supervisor.log in the attempt's folder, or the container's log, says why.",
    ),
    "package.missing": Words(
        "The Python that should train, {where}, has no {value}.",
        "Without a container, type: {where} -m pip install {value}. With one, choose an image that has torch, numpy "
        "and tensorboard.",
    ),
    "package.broken": Words(
        "{value} is installed where the run trains, but cannot be imported: {reason}.",
        "Without a container, type: {where} -m pip install --force-reinstall {value}. With one, choose another image.",
    ),
    "package.compiler": Words(
        "The run is to compile its layers (train.compile), but where it trains there is no {value}.",
        "Without a container on Debian or Ubuntu, type: sudo apt install g++. With one, choose an image that has "
        "it, or set train.compile to false.",
    ),
    "package.symbol": Words(
        "torch {version} has no {value}, which this program uses; it works with torch {floor} and newer.",
        "Without a container, type: {where} -m pip install --upgrade torch. With one, choose another image.",
    ),
    "package.old": Words(
        "torch {value} is older than {floor}, the oldest this program works with.",
        "Without a container, type: {where} -m pip install --upgrade torch. With one, choose a newer image.",
    ),
    "preflight.died": Words(
        "The look around before training ended with status {value}: {reason}.", "train.log has what it printed."
    ),
    "preflight.slow": Words(
        "Loading torch took longer than {value} s.", "Look for a slow or hanging disk, then resume the run."
    ),
    "gpu.fewer": Words(
        "{value} GPUs were asked for, but the {where} sees {seen}.",
        "Check the GPUs with nvidia-smi and the NVIDIA container toolkit, or choose fewer.",
    ),
    # the end of an attempt
    "end.rank_killed": Words(
        "Rank {where} (one of the training processes) was ended by signal {value}.",
        "If nobody did that on purpose, look at the machine's log; then resume the run.",
    ),
    "end.rank_status": Words(
        "Rank {where} (one of the training processes) ended with status {value} and left no error.",
        "train.log in the attempt's folder has the details.",
    ),
    "end.out_of_memory": Words(
        "The machine ran out of memory, and the kernel ended one of the training processes ({where}).",
        "Choose a smaller micro batch or a larger tensor-parallel size, or give the run more memory.",
    ),
    "end.torchrun_killed": Words(
        "torchrun, which starts the training processes, was ended by signal {value}.",
        "If nobody did that on purpose, look at the machine's log; then resume the run.",
    ),
    "end.torchrun_status": Words(
        "torchrun, which starts the training processes, ended with status {value}.",
        "train.log in the attempt's folder has the details.",
    ),
    "end.unfinished": Words(
        "Training ended at step {value} of {total}, though nobody asked it to stop.", "Resume the run."
    ),
    "end.supervisor_died": Words(
        "The run was ended from outside: its supervisor was killed, or the machine was started anew.",
        "Resume the run; it goes on from its last checkpoint.",
    ),
    "end.supervisor_memory": Words(
        "The container ran out of memory, and the kernel ended it.",
        "Choose a smaller micro batch or a larger tensor-parallel size, or give the run more memory.",
    ),
    "end.supervisor_crashed": Words(
        "The run's supervisor failed: {value}: {reason}.",
        "This is a mistake in bert-tui; train.log in the attempt's folder has the details. The run can be resumed.",
    ),
    # checkpoints
    "checkpoint.not_written": Words(
        "The checkpoint {where} could not be written: {reason}.",
        "See whether the disk is full or the folder is no longer writable, then resume: the checkpoint before it is "
        "whole.",
    ),
    "checkpoint.no_room": Words(
        "A checkpoint takes {megabytes} MB, and the disk of {where} has {free} MB free.",
        "Make room, for example by deleting old checkpoints or runs. A run that goes on tries again at its next "
        "checkpoint; one that failed is resumed from the checkpoint before.",
    ),
    "checkpoint.not_finite": Words(
        "Step {value} had no finite loss or gradients, so it was not saved: the checkpoint before it may be better.",
        "Nothing to do as long as the losses become numbers again. If not, the run stops by itself.",
    ),
    "checkpoint.not_removed": Words(
        "The old checkpoint {where} could not be deleted: {reason}.",
        "Nothing is lost. Delete it by hand if the disk fills up.",
    ),
    "checkpoint.missing": Words(
        "{where} holds no complete checkpoint, though one of step {value} was saved.",
        "Put the folder back, or start a new run: going on would begin again at step 0.",
    ),
    "checkpoint.damaged": Words(
        "The checkpoint {where} is damaged: {reason}. The one before it, of step {older}, is there.",
        "To go on from step {older}, move the damaged one away, then resume (mv {where} {where}.damaged)",
    ),
    "checkpoint.damaged_only": Words(
        "The checkpoint {where} is damaged: {reason}. There is none before it.",
        "Put the folder back from a copy, or start a new run: going on would begin again at step 0.",
    ),
    "checkpoint.other_data": Words(
        "The checkpoint {where} was made from other data than this run reads now.",
        "Put the dataset back as it was, or start a new run.",
    ),
    "checkpoint.other_vocabulary": Words(
        "The checkpoint {where} was made with another vocabulary than this run uses now.",
        "Put the vocabulary back as it was, or start a new run.",
    ),
    "checkpoint.other_model": Words(
        "The checkpoint {where} holds another model: its {name} is {value}, this run's is {present}.",
        "Resume without changing the model, or start a new run.",
    ),
    # weights to begin with
    "weights.absent": Words(
        "There are no weights in {where}: it has no file {value}.",
        "Give train.init_from a checkpoint (RUN/checkpoints/step-...), or a folder made with {program} import.",
    ),
    "weights.unreadable": Words(
        "The weights in {where} cannot be read: {reason}.",
        "Take another checkpoint, or make the folder anew with {program} import.",
    ),
    "weights.damaged": Words(
        "The weights in {where} are not what was written there: {reason}.",
        "Take another checkpoint, or make the folder anew with {program} import.",
    ),
    "weights.other_model": Words(
        "The weights in {where} are of another model: {field} is {value} there and {present} here.",
        "Set {field} to {value} in the preset, or begin with other weights.",
    ),
    "weights.vocabulary_size": Words(
        "The weights in {where} are for a vocabulary of {value} pieces; this one has {present}.",
        "Use the vocab.txt they were trained with, and a dataset made with it.",
    ),
    "weights.other_vocabulary": Words(
        "The weights in {where} were trained with another vocabulary: its pieces stand for other words.",
        "Use the vocab.txt they were trained with (beside imported weights, or in the folder of their run), and a "
        "dataset made with it.",
    ),
    "weights.tensor_missing": Words(
        "The weights in {where} lack the tensor {value}.", "Take another checkpoint; this one is not whole."
    ),
    "weights.tensor_shape": Words(
        "In {where} the tensor {value} has the shape {shape}; this model's has {expected}.",
        "Begin with the weights of a model of the same sizes.",
    ),
    # Hugging Face folders
    "convert.package": Words(
        "Converting weights needs the package {value}, and this program's Python does not have it.",
        "Type: {python} -m pip install {value}",
    ),
    "convert.crashed": Words(
        "The conversion failed (status {value}): {reason}.",
        "This is a mistake in bert-tui; all it printed is in {where}.",
    ),
    "convert.killed": Words(
        "The conversion was ended from outside by signal {value}.",
        "If nobody did that, memory ran out: an import needs room for the whole model. Try again on a larger machine.",
    ),
    "convert.no_checkpoint": Words(
        "{where} has no complete checkpoint yet.", "Wait for its first, or stop it: that saves one."
    ),
    "convert.no_step": Words("{where} has no complete checkpoint of step {value}.", "These steps are there: {found}."),
    "convert.not_empty": Words(
        "{where} is there already and is not an empty folder.", "Name a folder that is not there yet."
    ),
    "convert.not_written": Words(
        "{where} cannot be written: {reason}.", "Make room or choose another folder; nothing was left there."
    ),
    "convert.unreadable": Words(
        "{where} cannot be read: {reason}.",
        "The folder must be one that save_pretrained wrote: config.json, model.safetensors and vocab.txt or "
        "tokenizer.json.",
    ),
    "convert.unsupported": Words(
        "{where} is {value}, which this program's BERT does not have.", "Only this can be imported: {supported}."
    ),
    "convert.epsilon": Words(
        "{where}: layer_norm_eps is {value} there and {ours} here, so logits differ in their last digits.",
        "Nothing needs to be done; training goes on from there.",
    ),
    "convert.vocabulary_larger": Words(
        "{where}: the model has {value} words, but its vocabulary file has {pieces} pieces.",
        "Put the vocabulary there that belongs to the model.",
    ),
    "convert.vocabulary_cut": Words(
        "{where}: the model has {value} rows for the {pieces} pieces of its vocabulary; the rest was left out.",
        "Nothing needs to be done; such rows stand for no word.",
    ),
    "convert.no_wordpiece": Words(
        "{where} describes no WordPiece tokenizer, which BERT needs.", "Put the model's vocab.txt beside it."
    ),
    "convert.no_safetensors": Words(
        "{where} holds no model.safetensors.",
        "Load the model with transformers and write it anew: model.save_pretrained(FOLDER).",
    ),
    "convert.tensor_missing": Words(
        "{where} lacks the tensor {value} ({count} are missing in all).",
        "It must hold the whole pre-training model, as BertForPreTraining.save_pretrained writes it.",
    ),
    "convert.tensor_unknown": Words(
        "{where} holds {value}, which is no part of BERT ({count} such tensors in all).",
        "Import the pre-training model, without what was added to it.",
    ),
    "convert.tensor_shape": Words(
        "In {where} the tensor {value} has the shape {shape}; by config.json it should have {expected}.",
        "The files do not belong together; fetch the folder anew.",
    ),
    "convert.tensor_type": Words(
        "In {where} the tensor {value} holds {type}, not floating-point numbers.",
        "Import the model before it was quantized.",
    ),
    "convert.untied": Words(
        "In {where} the output layer has weights of its own: {value} differs from {first}.",
        "Such a model cannot be imported; here both are the same.",
    ),
    # training
    "micro_batch.none_fits": Words(
        "The model does not fit: a rank runs out of memory with {value} row at a time.",
        'Set parallel.recompute = "full", parallel.shard = "full" or a larger parallel.tensor, then resume.',
    ),
    "training.not_finite": Words(
        "{steps} steps in a row gave no finite loss or gradients (loss {value}, gradient norm {grad_norm}).",
        "Resume from the last checkpoint with a lower train.learning_rate or a longer train.warmup.",
    ),
    "training.out_of_memory": Words(
        "A rank ran out of memory: {reason}",
        "Choose a smaller train.micro_batch or a larger tensor-parallel size, then resume.",
    ),
    "training.disk_full": Words(
        "The disk is full or your quota is spent: {reason}",
        "Make room, for example by deleting old checkpoints, then resume.",
    ),
    "training.peer_lost": Words(
        "{where} lost the connection to the other training processes: {reason}",
        "The cause lies with another one: train.log in the attempt's folder has its last words. The run can be "
        "resumed.",
    ),
    "training.reader_killed": Words(
        "A process that reads the data ahead of the training was killed.",
        "Often the kernel ended it for lack of memory ('dmesg' tells), or somebody did by hand. Make room, then "
        "resume.",
    ),
    "training.exception": Words(
        "Training stopped with an error ({where}): {reason}",
        "train.log and ranks/ in the attempt's folder have it all.",
    ),
    # devices
    "gpu.none": Words(
        "GPUs are wanted, but {reason}.",
        'Train on the CPU with launch.gpus = "none", or repair the driver: nvidia-smi must list the GPUs.',
    ),
    "gpu.absent": Words(
        "There is no GPU {value} on this machine (found: {found}).", 'Name one that is there, or write gpus = "all".'
    ),
    # containers
    "docker.remote": Words(
        "Docker is set to use the engine at {where}, on another machine, which does not see this machine's files.",
        "Log in there and start the run there; or use this machine's engine: type 'unset DOCKER_HOST "
        "DOCKER_CONTEXT; docker context use default'.",
    ),
    "docker.absent": Words(
        "There is no Docker Engine here: {where} does not exist.",
        "Start it with 'sudo systemctl start docker', or install it (Debian and Ubuntu: 'sudo apt install "
        "docker.io'); or choose the launcher 'local', which needs no Docker.",
    ),
    "docker.down": Words(
        "The Docker Engine is installed but does not run: nobody listens at {where}.",
        "Start it with 'sudo systemctl start docker'; 'journalctl -u docker' says why it ended.",
    ),
    "docker.context": Words(
        "There is no docker context called {value}.",
        "'docker context ls' lists those that are there; type 'unset DOCKER_CONTEXT; docker context use default'.",
    ),
    "docker.permission": Words(
        "You may not use the Docker Engine: {where} is open to root and the group {value}, and you are not in it.",
        "Join the group: type 'sudo usermod -aG {value} $USER', then log out and log in again.",
    ),
    "docker.group": Words(
        "You may not use the Docker Engine yet: you are in the group {value}, but this session began before that.",
        "Log out and log in again; in tmux or screen, end that too ('tmux kill-server').",
    ),
    "docker.silent": Words(
        "The Docker Engine at {where} does not answer.",
        "Look with 'docker ps'; if it hangs as well, restart the engine: 'sudo systemctl restart docker'.",
    ),
    "docker.lost": Words(
        "The connection to the Docker Engine at {where} broke: {reason}.",
        "See whether it runs: 'docker info'; then try again.",
    ),
    "docker.refused": Words(
        "The Docker Engine refused: {value}", "The text above is Docker's own; 'docker info' shows the engine's state."
    ),
    "docker.old": Words(
        "Docker Engine {value} is too old to start the containers of this program.",
        "Update it to 20.10 or newer: docs.docker.com/engine/install; or choose the launcher 'local'.",
    ),
    "docker.podman": Words(
        "Podman answers in Docker's place at {where}. It ignores requests for GPUs without an error, so the run "
        "would train without them.",
        "Install Docker Engine, or train without a container: choose the launcher 'local'.",
    ),
    "docker.remapped": Words(
        "The Docker Engine at {where} makes you another user inside containers ({value}), who may not write your "
        "files.",
        "Use an engine without user remapping, or choose the launcher 'local'.",
    ),
    "docker.gpu_toolkit": Words(
        "The Docker Engine cannot hand GPUs to containers: NVIDIA's container toolkit is not installed or not "
        "known to it.",
        "Install the package nvidia-container-toolkit, type 'sudo nvidia-ctk runtime configure --runtime=docker' "
        "and 'sudo systemctl restart docker'.",
    ),
    "docker.gpu_start": Words(
        "NVIDIA's container toolkit could not prepare the GPUs: {value}",
        "See whether 'nvidia-smi' works on this machine; a driver that was updated needs a restart.",
    ),
    "docker.cuda_requirement": Words(
        "The NVIDIA driver is too old for the image, which asks for {value}.",
        "Update the driver, or name an image with an older CUDA in launch.image ('auto' chooses one that fits).",
    ),
    "docker.image_driver": Words(
        "The NVIDIA driver {value} is too old for the image {image}: its CUDA {cuda} needs driver {needed} or newer.",
        "Update the driver, or name an image with an older CUDA in launch.image ('auto' chooses one that fits).",
    ),
    "docker.architecture": Words(
        "The image {value} is made for {made_for}, but this machine is {here}.",
        "Name an image for {here} in launch.image; of images for several, type 'docker pull --platform "
        "linux/{here} {value}'.",
    ),
    "docker.runtime": Words(
        "The Docker Engine does not know the runtime {value}.",
        "'docker info' lists those it knows; correct default-runtime in /etc/docker/daemon.json.",
    ),
    "docker.name_taken": Words(
        "There is already a container named {value}.",
        "See what it is with 'docker ps -a'; if it is of no use any more, type 'docker rm {value}'.",
    ),
    "docker.image_absent": Words(
        "The image {value} is not on this machine.", "Fetch it with 'docker pull {value}', or correct launch.image."
    ),
    "docker.image_unknown": Words(
        "The registry does not have this image, or does not give it to you: {value}",
        "Correct launch.image; if the image is private, type 'docker login' first.",
    ),
    "docker.registry": Words(
        "The image registry cannot be reached: {value}",
        "Check the network and the proxy of the Docker Engine; or fetch the image on another machine ('docker pull', "
        "'docker save -o FILE') and load it here with '{program} image load FILE'.",
    ),
    "docker.unauthorised": Words(
        "The registry wants to know who you are: {value}",
        "Type 'docker login' with the name of the registry, then try again.",
    ),
    "docker.registry_refused": Words(
        "The registry answers with an error: {value}",
        "Wait some minutes and try again; where it says too many requests, 'docker login' raises the limit.",
    ),
    "docker.tls": Words(
        "The Docker Engine does not trust the registry's certificate: {value}",
        "Where a proxy reads along, put its certificate into /etc/docker/certs.d/REGISTRY/ca.crt; a wrong clock does "
        "this too: see 'date'.",
    ),
    "docker.no_room": Words(
        "The image needs at least {needed} GiB in {where}, where {free} GiB are free.",
        "'docker system df' shows what takes room, 'docker image prune' removes unused images; or move data-root in "
        "/etc/docker/daemon.json to a larger disk.",
    ),
    "docker.disk_full": Words(
        "The disk on which Docker keeps images and containers is full.",
        "'docker system df' shows what takes room, 'docker image prune' removes unused images.",
    ),
    "docker.mount_absent": Words(
        "{where} does not exist on the machine of the Docker Engine, so it cannot be shown to the container.",
        "Check the path; a disk that is mounted only for you is not seen by the engine.",
    ),
    "docker.mount_denied": Words(
        "The Docker Engine, which runs as root, may not look at {where}: it lies on a network disk that counts root as "
        "nobody, or on one that is mounted only for you.",
        "Type 'chmod o+x' for each folder on the way to it; of a FUSE mount, mount it with allow_other; or choose a "
        "folder on a disk of this machine.",
    ),
    "docker.mount_private": Words(
        "{where} lies on {mount} ({kind}), which shows itself only to the user who mounted it, not to the Docker "
        "Engine.",
        "Mount it with '-o allow_other' (and 'user_allow_other' in /etc/fuse.conf), or choose another folder.",
    ),
    "docker.mount_covers": Words(
        "{where} would hide the container's own {value}, so it cannot be shown inside at the same path.",
        "Move the files to a folder of their own, for example below /data or /home.",
    ),
    "docker.died": Words(
        "The container ended at once with status {value}: {output}",
        "The image must have python3 with torch, numpy and tensorboard; try another launch.image.",
    ),
    "docker.trial_unseen": Words(
        "A container does not see what was written to {where}: the engine is on another machine or in a virtual one, "
        "or another disk is mounted there for it.",
        "'docker info' shows where the engine runs; if the disk was mounted after the engine began, type "
        "'sudo systemctl restart docker'.",
    ),
    "docker.trial_unwritable": Words(
        "A container cannot write to {where}, though you can: {reason}.",
        "Choose a folder that belongs to you: in containers, even root has only the rights of its files' owner.",
    ),
    "docker.trial_unreadable": Words(
        "A container cannot read {where}: {reason}.",
        "In containers, even root has only the rights of the files' owner: type 'chmod o+r {where}', or copy the file.",
    ),
    "docker.trial_user": Words(
        "In containers you are another user ({value} instead of {wanted}), who may not write your files.",
        "Use an engine without user remapping, or choose the launcher 'local'.",
    ),
    "docker.ulimit": Words(
        "The Docker Engine is not allowed to raise the limit '{value}', so the container runs without it.",
        "Nothing needs to be done unless the run reports too little locked memory or too few open files.",
    ),
    "docker.base_absent": Words(
        "The CPU image is built on {value}, which is not on this machine and cannot be fetched: {reason}",
        "Type 'docker pull {value}', or name an image with python3 and its venv module: 'export "
        "BERT_TUI_BASE_IMAGE=...'.",
    ),
    "docker.base_python": Words(
        "The base image {value} has no usable python3: {reason}",
        "Name an image with Python 3.11 or newer and its venv module: 'export BERT_TUI_BASE_IMAGE=...'.",
    ),
    "docker.wheels": Words(
        "The packages of the CPU image could not be fetched: {value}",
        "Check the network and pip's settings. The small build of torch for CPUs comes from an index of its own: "
        "'export BERT_TUI_TORCH_INDEX=https://download.pytorch.org/whl/cpu'.",
    ),
    "docker.build": Words(
        "Building the CPU image failed: {value}", "The attempt's starter.log has every line of the build."
    ),
    "docker.driver_old": Words(
        "No NVIDIA image fits the driver {value}; the oldest that this program knows needs {oldest}.",
        "Update the NVIDIA driver, or name an image of your own in launch.image.",
    ),
    "docker.driver_unknown": Words(
        "GPUs are wanted, but no NVIDIA driver answers on this machine, so no image can be chosen for it.",
        "See whether 'nvidia-smi' works; or name an image in launch.image.",
    ),
    # image
    "image.name": Words(
        "{value} cannot be the name of an image.", "Type one such as nvcr.io/nvidia/pytorch:26.09-py3."
    ),
    "image.file": Words(
        "No image can be loaded from {where}: {reason}.",
        "Give a file that 'docker save -o FILE IMAGE' wrote, plain or packed with gzip or zstd; 'docker export' writes "
        "another kind. If it was copied, hold its size against the original's.",
    ),
    "image.unwritable": Words("{where} cannot be written: {reason}.", "Check its permissions: ls -ld {where}"),
    "image.no_job": Words(
        "Nothing of this kind is being fetched: {value}", "'{program} image status' shows what is and was fetched."
    ),
    "image.crashed": Words(
        "Fetching the image ended by a mistake of this program: {reason}",
        "Look at {where}, and tell us with that text.",
    ),
    # layout
    "layout.heads_hidden": Words(
        "A hidden size of {hidden} cannot be shared by {heads} attention heads.",
        "Choose a hidden size that is a multiple of the heads.",
    ),
    "layout.tensor_heads": Words(
        "Tensor-parallel size {value} does not divide the {heads} attention heads.", "Choose one of {possible}."
    ),
    "layout.sequence_alone": Words(
        "Sequence parallel shares the tokens of a row among tensor-parallel GPUs, but the tensor-parallel size is 1.",
        "Set parallel.sequence to false, or choose a larger tensor-parallel size.",
    ),
    "layout.sequence_length": Words(
        "Sequence parallel cannot cut rows of {value} tokens into {tensor} equal slices.",
        "Choose a sequence length that is a multiple of {tensor}, or set parallel.sequence to false.",
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
        "It fits with {changes}: write that into the preset, or give each after --set.",
    ),
    "layout.too_large": Words(
        "Each {device} would need {value} GiB of memory, and {available} GiB are there.",
        "No layout of these devices holds the model: use more of them, or a smaller model.",
    ),
    # what a plan may be and is hardly meant to be
    "plan.long": Words(
        "Training would take about {value} on this machine.",
        "Choose a smaller model, fewer steps or a machine with GPUs.",
    ),
    "plan.sockets": Words(
        "Tensor parallel would talk over the slow link between two processors: {value}.",
        "Choose a smaller tensor-parallel size, or GPUs of one processor (nvidia-smi topo -m).",
    ),
    "plan.learning_rate": Words(
        "A learning rate of {value} is far too high: the loss will hardly fall.",
        "Choose one between 0.00001 and 0.001, with which BERT learns.",
    ),
}


def in_full(problem: Problem) -> dict[str, Any]:
    """A problem as JSON for people's programs: what the code carries, and its words."""
    words = describe(problem)
    return {**problem.as_json(), "what": words.what, "remedy": words.remedy}


def describe(problem: Problem) -> Words:
    """The texts of a problem, filled in; fit for a terminal whatever its facts are."""
    words, facts = TEXTS[problem.code], _facts(problem)
    return Words(words.what.format(**facts), words.remedy.format(**facts))


WHY_NOT_SAVED = {
    "checkpoint.not_written": "{reason}",
    "checkpoint.no_room": "it takes {megabytes} MB, {free} MB are free",
    "checkpoint.not_finite": "its loss or gradients were not finite",
}


def why_not_saved(problem: Problem) -> str:
    """A few words that fit behind "checkpoint of step 20 not saved:"."""
    return WHY_NOT_SAVED.get(problem.code, TEXTS[problem.code].what).format(**_facts(problem))


def _facts(problem: Problem) -> dict[str, str]:
    """What fills its texts."""
    callers = {"program": program(), "python": python()}
    facts = {**callers, "where": problem.where, "value": problem.value, **problem.params}
    return {name: _printable(str(fact)) for name, fact in facts.items()}


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
