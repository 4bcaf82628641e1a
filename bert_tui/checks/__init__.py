"""Questions about the machine, the data and the plan; one small function a check."""
