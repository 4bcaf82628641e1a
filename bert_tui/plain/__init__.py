"""Lines in place of screens: for pipes, logs, screen readers and poor lines."""
