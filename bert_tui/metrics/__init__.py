"""Following a run's files in bounded memory."""
