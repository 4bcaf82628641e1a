"""What the fields of the build page mean."""

from __future__ import annotations

SHORT = {
    "build.text": "Plain text (a blank line ends a document) or JSON lines, also compressed (.gz, .zst, .xz, .bz2). A "
    "folder, several paths, and patterns such as /data/*.jsonl.gz are fine.",
    "build.keys": "In which key of each line the text stands. Several, such as title text, make a dataset each.",
    "build.output": "The dataset is NAME.bin and NAME.idx; a vocabulary that is made is NAME-vocab.txt.",
    "build.vocabulary": "Make one where you train from the beginning. Use a file to go on from weights of a model that "
    "has a vocabulary, or to compare with one.",
    "build.pieces": "How many pieces of words the vocabulary gets. The first BERT had 30522; a small corpus wants "
    "fewer, such as 8000.",
    "build.vocab_file": "The vocabulary that the model is to have: vocab.txt of a BERT model, one piece a line.",
    "build.letters": "Lower-case: London and london are the same, accents are dropped; the usual choice for English. "
    "As they are: for a cased vocabulary, and for German.",
    "build.bad_text": "What to do with bytes that are no UTF-8 and lines that are no JSON: stop and tell where, repair "
    "(bad bytes become �), or leave the line out. All are counted.",
}
"""For the foot of the page, by the field that has the cursor."""

TITLES = {
    "build.text": "The text to build from",
    "build.keys": "JSON key",
    "build.output": "Where the dataset is put",
    "build.vocabulary": "The vocabulary",
    "build.pieces": "Size of the vocabulary",
    "build.vocab_file": "The vocabulary's file",
    "build.letters": "Upper- and lower-case letters",
    "build.bad_text": "Text that cannot be read",
}
EXAMPLES = {
    "build.text": "Example: /data/wiki/*.jsonl.gz",
    "build.keys": 'Example: text, for lines such as {"title": "Cats", "text": "A cat is an animal. …"}',
    "build.output": "Example: ~/bert-tui/data/wiki gives wiki.bin, wiki.idx and wiki-vocab.txt",
    "build.vocabulary": "Example: to train a BERT of your own on a million documents, make one.",
    "build.pieces": "Example: 30522",
    "build.vocab_file": "Example: /data/bert-base-uncased/vocab.txt",
    "build.letters": "Example: bert-base-uncased is lower-case, bert-base-cased has the letters as they are.",
    "build.bad_text": "Example: leave out, for web pages of which a few are damaged.",
}
BUILDING = (
    "A dataset is being built",
    "Text is split into sentences and pieces of words by processes of their own. They go on when this window closes "
    "or the line drops; this page finds them again. F6 ends the build; what it has finished stays, and the same build "
    "goes on from there.\n\n"
    "Left out: lines, documents and files that could not be read, as 'Bad text' said. When it is finished, F3 takes "
    "the dataset and its vocabulary for the training.",
)
TOPICS: dict[str, tuple[str, str]] = {
    "building": BUILDING,
    **{field: (TITLES[field], f"{SHORT[field]}\n\n{EXAMPLES[field]}") for field in SHORT},
}
"""What F1 tells."""
