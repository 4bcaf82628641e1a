"""From text to an indexed dataset."""
