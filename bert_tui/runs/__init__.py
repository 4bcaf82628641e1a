"""Runs on disk: creating, finding, stating, stopping and resuming them."""
