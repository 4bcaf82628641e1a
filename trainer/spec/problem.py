"""What can be wrong, as data.

The trainer knows codes and facts; the words for people live in ``bert_tui.advice.words``, where a test finds an
entry for every code below. The English line here is for logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ENGLISH: dict[str, str] = {
    # presets
    "preset.unreadable": "{where}: cannot be read: {reason}",
    "preset.too_large": "{where}: larger than {megabytes} MB",
    "preset.not_found": "there is no preset {value}{suggestion} Known: {known}",
    "preset.base_not_found": "{where}: there is no preset {value}{suggestion} Known: {known}",
    "preset.not_toml": "{where}: not valid TOML: {reason}",
    "preset.wrong_schema": "{where}: schema {value} is not known; this program reads schema {known}",
    "preset.no_schema": "{where}: no schema number; this program reads schema {known}",
    "preset.newer_schema": "{where}: schema {value} is newer than this program, which reads schema {known}",
    "preset.unknown_key": "{where}: unknown key {value}{suggestion}",
    "preset.wrong_type": "{where}: {value} is not {expected}",
    "preset.out_of_range": "{where}: {value} is out of range: {expected}",
    "preset.missing": "{where}: no value",
    "preset.extends_loop": "{where}: extends itself through {value}",
    "preset.not_editable": "{where}: cannot be changed in place",
    "preset.shipped": "{where}: a shipped preset",
    "preset.not_written": "{where}: cannot be written: {reason}",
    "preset.not_a_run": "{where}: no [resolved] table, so there is nothing to compare with",
    "replay.differs": "not the same as run {where}: {value}",
    # vocabularies
    "vocabulary.absent": "{where}: no such file",
    "vocabulary.folder": "{where}: a folder, not a vocabulary file",
    "vocabulary.no_file": "{where}: not a plain file",
    "vocabulary.unreadable": "{where}: cannot be read: {reason}",
    "vocabulary.too_large": "{where}: {megabytes} MB, too large for a vocabulary",
    "vocabulary.not_utf8": "{where}: not UTF-8 text: bytes {value}",
    "vocabulary.empty": "{where}: empty",
    "vocabulary.json": "{where}: JSON, not one piece a line",
    "vocabulary.pad_not_first": "{where}: [PAD] must be on line 1, where {value} is",
    "vocabulary.special_missing": "{where}: no {value}",
    "vocabulary.duplicate": "{where}: {value} is already on line {first_line}; {count} duplicates in all",
    "vocabulary.no_continuation": "{where}: no piece begins with ##",
    "vocabulary.other_kind": "{where}: neither ## pieces nor BERT's special ones",
    "vocabulary.byte_order_mark": "{where}: begins with a byte-order mark",
    "vocabulary.windows": "{where}: {value} lines end as on Windows",
    "vocabulary.columns": "{where}: {value} lines have a second column",
    "vocabulary.blanks": "{where}: {value} pieces have blanks around them; the first is here",
    "vocabulary.blank_lines": "{where}: {value} blank lines; the first is here",
    "vocabulary.lines_lost": "{where}: {value} pieces; {name} has {published}",
    "vocabulary.needs_renumber": "{where}: the repair would give pieces other ids",
    "vocabulary.output_exists": "{where}: is there already",
    "vocabulary.not_written": "{where}: cannot be written: {reason}",
    "vocabulary.size": "{where}: {value} pieces, but the preset's model.vocab_size is {wanted}",
    # datasets
    "data.split": "{where}: {value} is not three numbers with commas between them, the first above zero",
    "blend.order": "{where}: item {place}, {value}, breaks the order: weight, path, weight, path",
    "blend.weight": "{where}: item {place}, the weight {value}, is not above zero",
    "dataset.suffix": "{where}: the path must be given without {value}: {prefix}",
    "dataset.folder": "{where}: a folder; datasets in it: {found}",
    "dataset.absent": "{where}: no such file",
    "dataset.no_file": "{where}: not a plain file",
    "dataset.unreadable": "{where}: cannot be read: {reason}",
    "dataset.magic": "{where}: not an index of Megatron's: begins with bytes {value}",
    "dataset.version": "{where}: version {value}; this program reads version {known}",
    "dataset.dtype": "{where}: type code {value} is none that holds ids",
    "dataset.idx_size": "{where}: {value} bytes, should be {expected}",
    "dataset.bin_size": "{where}: {value} bytes, should be {expected}",
    "dataset.empty": "{where}: no text",
    "dataset.other_vocabulary": "{where}: made with another vocabulary than {value}: {starts} of the sentences begin"
    " with ##, {words} of the ## pieces follow what no word goes on from, {reserved} of the ids are reserved",
    "dataset.unknown_share": "{where}: {value} of the ids are [UNK] in {file}",
    "dataset.cut_words": "{where}: {value} of the sentences begin with a ## piece",
    "dataset.stray_specials": "{where}: {value} of the ids are [CLS] or [SEP]",
    "dataset.narrow": "{where}: {value} bytes an id, too few for the {pieces} pieces of {file}",
    "dataset.empty_sentences": "{where}: {value} of the sentences are empty",
    "dataset.output_exists": "{where}: is there already",
    "dataset.not_written": "{where}: cannot be written: {reason}",
    "resplit.split_already": "{where}: {value} of the documents have two sentences or more",
    "resplit.no_ends": "{where}: {value} new sentences for each old one",
    "dataset.lengths": "{where}: sentence {sentence} has length {value}",
    "dataset.pointers": "{where}: sentence {sentence} begins at byte {value}, should be {expected}",
    "dataset.documents": "{where}: documents run from {value} to {last}, should from 0 to {sentences} without falling",
    "dataset.ids": "{where}: id {value} at token {position}, but the vocabulary has {vocabulary} pieces",
    "dataset.framed": "{where}: {value} of the sentences have [CLS] and [SEP] of their own",
    "dataset.no_pairs": "{where}: none of {documents} documents for training makes a sample (split {value})",
    "dataset.document_level": "{where}: only {value} of the documents have two sentences or more",
    "dataset.split_empty": "{where}: none of {documents} documents is for {value}",
    "dataset.no_rows": "{where}: no rows for {value}",
    # building a dataset from text
    "build.no_input": "{where}: no text to build from",
    "build.output_name": "{where}: {value} is no prefix for the files of a dataset",
    "build.vocabulary_choice": "{where}: give either a vocabulary file or the size of one to train",
    "build.vocabulary_size": "{where}: {value} pieces; possible are {least} to {most}",
    "build.json_keys": "{where}: no keys, or one twice: {value}",
    "build.json_key_name": "{where}: {value} cannot be part of a file's name",
    "build.workers": "{where}: {value} workers; at least one is needed",
    "build.language": "{where}: {value} is no language code",
    "build.choice": "{where}: {value} is none of {known}",
    "build.busy": "{where}: process {pid} on {host} is building there",
    "build.no_order": "{where}: no build was started there",
    "build.unwritable": "{where}: cannot be written: {reason}",
    "build.unreadable": "{where}: cannot be read: {reason}",
    "build.nothing_found": "{where}: no file",
    "build.no_file": "{where}: not a plain file",
    "build.damaged": "{where}: cannot be read to its end: {reason}",
    "build.not_text": "{where}: not UTF-8 text",
    "build.no_text": "{where}: no text in any file",
    "build.not_utf8": "{where}: not UTF-8 text: bytes {value}",
    "build.surrogate": "{where}: half a surrogate pair: {value}",
    "build.not_json": "{where}: not JSON: {reason}",
    "build.not_object": "{where}: not a JSON object but {value}",
    "build.no_key": "{where}: no key {value}; keys there: {found}",
    "build.no_text_in_key": "{where}: the value of {value} is no text but {kind}",
    "build.too_long": "{where}: a document of more than {megabytes} MB",
    "build.worker_died": "a worker process ended with status {value}",
    "build.disk_full": "{where}: the disk is full: {reason}",
    "build.no_space": "{where}: needs about {needed} GB, {free} GB are free",
    "build.exists": "{where}: there is a file already that this build has not made",
    "build.started_over": "{where}: begun with other settings or another input; starts again",
    "build.already": "{where}: was built from the same already; nothing is done",
    "build.shard_gone": "{where}: a finished shard is no longer there",
    "build.nothing_left": "{where}: not a single sentence was found",
    "build.crashed": "{where}: {value}: {reason}",
    # TensorBoard
    "board.failed": "{where}: TensorBoard did not start: {reason}",
    "sample.no_text": "{where}: not there: this Python comes without its documentation",
    # paths
    "path.empty": "{where}: no path",
    "path.characters": "{where}: the path has a character that cannot be seen: {value}",
    "path.variable": "{where}: the variable {value} is not set",
    "path.user": "{where}: there is no user {value}",
    "path.colon": "{where}: a colon in the path, which PYTHONPATH cannot hold",
    "path.too_long": "{where}: {value} bytes; a path has {path} at most, each name in it {name}",
    "path.silent": "{where}: the disk does not answer",
    "path.unusable": "{where}: {reason}",
    "path.dead_link": "{where}: a link that leads nowhere",
    "path.no_folder": "{where}: a file, not a folder",
    "path.read_only": "{where}: on a disk that can only be read",
    "path.not_writable": "{where}: cannot be written: {reason}",
    # run directories
    "run.unresolved": "{where}: the [resolved] table lacks {lacking}",
    "run.extends": "{where}: a run's own preset extends {value}, but must be complete",
    "run.not_found": "there is no run {value}",
    "run.ambiguous": "{value} begins the names of several runs: {found}",
    "run.unreadable": "{where}: cannot be looked at: {reason}",
    "run.unwritable": "{where}: cannot be written: {reason}",
    "run.locked": "{where}: in use by the {value} that {user} started on {host}, process {pid}",
    "run.active": "{where}: the run is {value}",
    "kill.unreachable": "process {value} cannot be ended from here: {reason}",
    "run.not_yours": "{where}: the run belongs to {value}",
    "run.unremovable": "{where}: cannot be removed: {reason}",
    "run.not_active": "{where}: the run is {value}, so there is nothing to stop",
    "calibrate.busy": "another calibration is at work: process {value}",
    "calibrate.ended": "{where}: the trial was {value} before enough of its steps could be measured",
    "calibrate.slow": "{where}: only {value} steps in {minutes} minutes",
    "calibrate.none": "no layout is possible here: {reason}",
    "run.nothing_left": "{where}: all {value} steps are done",
    "run.fixed": "{where}: cannot change when a run is resumed; these can: {changeable}",
    "run.data_changed": "{where}: the data is no longer what the run began with (fingerprint {value}, was {was})",
    "run.vocabulary_changed": "{where}: the vocabulary is no longer what the run began with",
    # starting an attempt
    "start.crashed": "the starter failed in phase {where}: {value}: {reason}",
    "start.died": "the starter ended in phase {where} without a word",
    "start.os": "{where}: {reason}",
    "start.no_supervisor": "what the {value} launcher started ended before the supervisor's first word",
    "package.missing": "{where} has no {value}",
    "package.broken": "{where}: {value} cannot be imported: {reason}",
    "package.compiler": "train.compile needs {value}, and {where} has none",
    "package.symbol": "{where}: torch {version} has no {value}; the floor is {floor}",
    "package.old": "{where}: torch {value} is older than {floor}",
    "preflight.died": "the preflight ended with status {value}: {reason}",
    "preflight.slow": "the preflight did not end within {value} s",
    "gpu.fewer": "asked for {value} GPUs, the {where} sees {seen}",
    # the end of an attempt
    "end.rank_killed": "rank {where} was ended by signal {value}",
    "end.rank_status": "rank {where} ended with status {value} and left no error",
    "end.out_of_memory": "{where} was ended by the kernel: out of memory",
    "end.torchrun_killed": "torchrun was ended by signal {value}",
    "end.torchrun_status": "torchrun ended with status {value}",
    "end.unfinished": "all ranks ended well at step {value} of {total}, though nobody asked them to stop",
    "end.supervisor_died": "the supervisor was ended from outside",
    "end.supervisor_memory": "the container was ended by the kernel: out of memory",
    "end.supervisor_crashed": "the supervisor failed: {value}: {reason}",
    # checkpoints
    "checkpoint.not_written": "{where}: the checkpoint could not be written: {reason}",
    "checkpoint.no_room": "{where}: a checkpoint takes {megabytes} MB, and {free} MB are free",
    "checkpoint.not_finite": "step {value} had no finite loss or gradients",
    "checkpoint.not_removed": "{where}: the old checkpoint could not be deleted: {reason}",
    "checkpoint.missing": "{where}: no complete checkpoint, though one of step {value} was announced",
    "checkpoint.damaged": "{where}: the checkpoint is damaged: {reason}; the one before it is of step {older}",
    "checkpoint.damaged_only": "{where}: the checkpoint is damaged: {reason}; there is none before it",
    "checkpoint.other_data": "{where}: the checkpoint was made from other data (fingerprint {value})",
    "checkpoint.other_vocabulary": "{where}: the checkpoint was made with another vocabulary (SHA-256 {value})",
    "checkpoint.other_model": "{where}: the checkpoint's model has {name} {value}, this run's has {present}",
    # weights to begin with
    "weights.absent": "{where}: no weights here: no file {value}",
    "weights.unreadable": "{where}: the weights cannot be read: {reason}",
    "weights.damaged": "{where}: not what was written: {reason}",
    "weights.other_model": "{where}: the weights are of a model with {field} {value}, this run's has {present}",
    "weights.vocabulary_size": "{where}: the weights are for {value} pieces, this run's vocabulary has {present}",
    "weights.other_vocabulary": "{where}: the weights were trained with another vocabulary",
    "weights.tensor_missing": "{where}: no tensor {value}",
    "weights.tensor_shape": "{where}: tensor {value} has shape {shape}, expected {expected}",
    # Hugging Face folders
    "convert.package": "converting weights needs the package {value}, which is not installed",
    "convert.crashed": "the conversion ended with status {value}: {reason}; its output is in {where}",
    "convert.killed": "the conversion was ended by signal {value}",
    "convert.no_checkpoint": "{where}: no complete checkpoint yet",
    "convert.no_step": "{where}: no complete checkpoint of step {value}; there are {found}",
    "convert.not_empty": "{where}: not an empty folder",
    "convert.not_written": "{where}: cannot be written: {reason}",
    "convert.unreadable": "{where}: cannot be read: {reason}",
    "convert.unsupported": "{where} is {value}; supported: {supported}",
    "convert.epsilon": "{where}: layer_norm_eps is {value}, here it is {ours}",
    "convert.vocabulary_larger": "{where}: the word table has {value} rows, the vocabulary {pieces} pieces",
    "convert.vocabulary_cut": "{where}: the word table's {value} rows were cut to the vocabulary's {pieces} pieces",
    "convert.no_wordpiece": "{where}: not a WordPiece tokenizer",
    "convert.no_safetensors": "{where}: no model.safetensors",
    "convert.tensor_missing": "{where}: no tensor {value}; {count} missing in all",
    "convert.tensor_unknown": "{where}: tensor {value} is of no BERT; {count} unknown in all",
    "convert.tensor_shape": "{where}: tensor {value} has shape {shape}, expected {expected}",
    "convert.tensor_type": "{where}: tensor {value} holds {type}, not floating-point numbers",
    "convert.untied": "{where}: {value} differs from {first}",
    # training
    "micro_batch.none_fits": "{where}: not even {value} row fits the memory of a rank",
    "training.not_finite": "{steps} steps in a row without finite loss and gradients: loss {value}, norm {grad_norm}",
    "training.out_of_memory": "{where}: out of memory: {reason}",
    "training.disk_full": "{where}: the disk is full: {reason}",
    "training.peer_lost": "{where} lost the connection to the other ranks: {reason}",
    "training.reader_killed": "a process that reads rows for training was killed",
    "training.exception": "{where}: {reason}",
    # devices
    "gpu.none": "{where}: GPUs are wanted, but {reason}",
    "gpu.absent": "{where}: there is no GPU {value}; found: {found}",
    # containers
    "docker.remote": "the Docker Engine at {where} is on another machine",
    "docker.absent": "{where}: no Docker Engine: no such socket",
    "docker.down": "{where}: the Docker Engine does not run",
    "docker.context": "there is no docker context {value}",
    "docker.permission": "{where}: permission denied; it is open to the group {value}",
    "docker.group": "{where}: permission denied; this session began before the user joined the group {value}",
    "docker.silent": "{where}: the Docker Engine does not answer",
    "docker.lost": "{where}: the connection to the Docker Engine broke: {reason}",
    "docker.refused": "the Docker Engine refused: {value}",
    "docker.old": "{where}: Docker Engine {value} is too old",
    "docker.podman": "{where}: Podman ignores requests for GPUs",
    "docker.remapped": "{where}: the engine remaps users ({value})",
    "docker.gpu_toolkit": "the Docker Engine has no GPU support: {value}",
    "docker.gpu_start": "NVIDIA's container toolkit failed: {value}",
    "docker.cuda_requirement": "the driver is too old for the image, which asks for {value}",
    "docker.image_driver": "driver {value} is too old for CUDA {cuda} of the image {image}: {needed} is needed",
    "docker.architecture": "the image {value} is made for {made_for}, this machine is {here}",
    "docker.runtime": "the Docker Engine knows no runtime {value}",
    "docker.name_taken": "there is already a container {value}",
    "docker.image_absent": "the image {value} is not there",
    "docker.image_unknown": "the registry does not give the image: {value}",
    "docker.registry": "the registry cannot be reached: {value}",
    "docker.unauthorised": "the registry asks who you are: {value}",
    "docker.registry_refused": "the registry answers with an error: {value}",
    "docker.tls": "the registry's certificate is not trusted: {value}",
    "docker.no_room": "{where}: the image needs at least {needed} GiB, {free} GiB are free",
    "docker.disk_full": "the disk of the Docker Engine is full: {value}",
    "docker.mount_absent": "{where} does not exist",
    "docker.mount_denied": "{where}: the Docker Engine may not look at it",
    "docker.mount_private": "{where}: {kind} at {mount} shows itself to nobody but the user who mounted it",
    "docker.mount_covers": "{where} would cover {value} of the image",
    "docker.died": "the container ended at once with status {value}: {output}",
    "docker.trial_unseen": "{where}: the container does not see what is written there",
    "docker.trial_unwritable": "{where}: the container cannot write there: {reason}",
    "docker.trial_unreadable": "{where}: the container cannot read it: {reason}",
    "docker.trial_user": "the container runs as {value} instead of {wanted}",
    "docker.ulimit": "the Docker Engine may not raise the limit {value}; started without it",
    "docker.base_absent": "the base image {value} is not there: {reason}",
    "docker.base_python": "the base image {value} has no usable python3: {reason}",
    "docker.wheels": "pip could not fetch the packages of the CPU image: {value}",
    "docker.build": "building the CPU image failed: {value}",
    "docker.driver_old": "no NVIDIA image fits driver {value}; the oldest needs {oldest}",
    "docker.driver_unknown": "GPUs are wanted, but no NVIDIA driver answers, so no image can be chosen",
    # image
    "image.name": "{value} is no name of an image",
    "image.file": "{where}: no images can be loaded from it: {reason}",
    "image.unwritable": "{where}: cannot be written: {reason}",
    "image.no_job": "no image is being fetched: {value}",
    "image.crashed": "{where}: {reason}",
    # layout
    "layout.heads_hidden": "{where}: {heads} heads do not divide the hidden size {hidden}",
    "layout.tensor_heads": "{where}: tensor-parallel size {value} does not divide {heads} heads; possible: {possible}",
    "layout.sequence_alone": "{where}: sequence parallel needs a tensor-parallel size above 1",
    "layout.sequence_length": "{where}: rows of {value} tokens cannot be cut into {tensor} equal slices",
    "layout.batch": "{where}: global batch {value} is not a multiple of micro batch {micro} x data parallel {data}",
    "layout.learning_rates": "{where}: minimum learning rate {value} is above the learning rate {rate}",
    "layout.warmup": "{where}: warm-up of {value} steps is not shorter than the decay of {decay} steps",
    "layout.devices": "{where}: {value} ranks wanted, {devices} devices there",
    "layout.memory": "{where}: {value} GiB a {device} needed, {available} GiB there; fits with {changes}",
    "layout.too_large": "{where}: {value} GiB a {device} needed at every layout that is possible, {available} there",
    # what a plan may be and is hardly meant to be
    "plan.long": "{where}: the run would take about {value} on this machine",
    "plan.sockets": "{where}: ranks that share every layer would talk between two processors ({value})",
    "plan.learning_rate": "{where}: {value} is far above what BERT is trained with",
}
"""One English template per code. ``where``, ``value`` and the params of the problem fill it."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: ``code`` from :data:`ENGLISH`, where (file, line, field), the value seen there."""

    code: str
    where: str = ""
    value: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.code not in ENGLISH:
            raise KeyError(f"no such problem code: {self.code}")

    @property
    def english(self) -> str:
        """The line for logs."""
        return ENGLISH[self.code].format(where=self.where, value=self.value, **self.params)

    def as_json(self) -> dict[str, Any]:
        """A dictionary that :meth:`from_json` reads back."""
        return {"code": self.code, "where": self.where, "value": self.value, "params": dict(self.params)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Problem:
        """Inverse of :meth:`as_json`.

        Raises:
            KeyError, TypeError: it is no problem, or lacks a fact that its words tell.
        """
        problem = cls(data["code"], data["where"], data["value"], data["params"])
        if not (isinstance(problem.where, str) and isinstance(problem.value, str) and problem.english):
            raise TypeError(repr(data))
        return problem


class SpecError(Exception):
    """Something the operator gave cannot be used. Carries every problem found, at least one."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(problem.english for problem in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[SpecError], tuple[Problem, ...]]:
        """So that one raised in another process can be raised here."""
        return type(self), self.problems


class PresetError(SpecError):
    """A preset cannot be read, or describes no possible run."""


class VocabularyError(SpecError):
    """A vocabulary file cannot be used."""


class DatasetError(SpecError):
    """An indexed dataset cannot be used."""


class CheckpointError(SpecError):
    """A checkpoint that should be there is not, or does not fit."""


class WeightsError(SpecError):
    """Weights to begin with are not there, or do not fit the run."""


class ConversionError(SpecError):
    """Weights cannot be brought into another format."""


class TrainingError(SpecError):
    """Training cannot go on."""


class RunError(SpecError):
    """A run directory cannot be used as asked."""


class EnvironmentRefused(SpecError):
    """The place where the run would train lacks something: a package, a GPU, a launcher."""
