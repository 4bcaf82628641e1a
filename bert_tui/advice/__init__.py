"""Words for people: what a problem means and what to do."""
