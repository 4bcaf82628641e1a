"""What starts processes: a container or this machine."""
