"""One file a screen: turns state into widgets and keys into calls."""
