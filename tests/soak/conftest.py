from tests.runs.conftest import own_state_folder

__all__ = ["own_state_folder"]
