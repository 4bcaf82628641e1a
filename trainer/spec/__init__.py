"""The torch-free contract between the screens and the trainer; all of ``trainer`` that ``bert_tui`` may import."""
