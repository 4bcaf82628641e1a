"""What a corpus, a dataset and a vocabulary are, where people get them, and what to do without internet."""

from __future__ import annotations

SHORT = {
    "sample": "Nothing to prepare: a vocabulary and a dataset are made from the documentation of Python, without "
    "internet. It shows that everything works; it is too little text for a model that knows English.",
    "files": "A corpus is the text a model learns from. As a dataset it is two files, NAME.bin and NAME.idx, in which "
    "pieces of words are numbers; a vocabulary tells which number is which piece.",
    "build": "Any text will do, the more the better: a dump of Wikipedia, books, web pages, your own documents. "
    "Without internet, bring it here by scp or a disk; building downloads nothing. Enter begins.",
    "data.data_path": "Two files, NAME.bin and NAME.idx, made from text by bert-tui or Megatron-LM. Several are mixed "
    "by weights: 0.3 /data/books 0.7 /data/wiki. F6 shows what a model reads.",
    "data.vocab_file": "The pieces of words that a model knows, one a line: the file that the dataset was made with. "
    "Published BERT models have a vocab.txt; without internet, copy one here by scp or build your own (F7).",
    "checkpoint.path": "Each training makes a folder of its own here and saves the model into it again and again. "
    "Choose a disk with room for several copies of the model.",
    "logs.tensorboard_path": "Each training writes its curves here; TensorBoard draws them in a browser.",
}
"""For the foot of the data page: by the line that is taken, or the field that has the cursor."""

TOPICS: dict[str, tuple[str, str]] = {
    "data.source": (
        "Which text",
        "A model learns from a corpus: a large collection of text. It reads it as a dataset, in which every piece of a "
        "word is a number, and a vocabulary says which number is which piece.\n\n"
        "Sample text: English documentation that comes with Python, enough to see that everything works.\n\n"
        "My own dataset: NAME.bin and NAME.idx with the vocabulary they were made with, built by bert-tui or by "
        "Megatron-LM (tools/preprocess_data.py with --tokenizer-type BertWordPieceLowerCase and --split-sentences).\n\n"
        "Build one from text: from files that you have. People take dumps of Wikipedia, collections of web pages and "
        "books, or documents of their own field.\n\n"
        "Without internet: fetch the text on another machine and bring it here, for example with scp corpus.jsonl.gz "
        "THIS-MACHINE:/data/ or on a disk. Building and training need no internet at all.",
    ),
    "sample": (
        "A sample",
        "What a model reads while it trains: two pieces of text, [CLS] A [SEP] B [SEP]. Some pieces are hidden "
        "([MASK]), replaced by others, or only asked for; below them stands what the model should say. In half of the "
        "samples A and B are swapped, and it has to tell. If the text looks like nonsense here, the vocabulary is not "
        "the one the dataset was made with. Enter or Escape closes.",
    ),
    "browse": (
        "Looking for a path",
        "Up and Down move, Enter opens a folder or takes what is under the cursor, Backspace goes to the folder above, "
        "letters go to the next name that begins with them. Datasets and vocabularies are marked; what does not fit "
        "here is grey. Hidden files are left out. Escape calls off.",
    ),
}
"""What F1 tells about them."""
