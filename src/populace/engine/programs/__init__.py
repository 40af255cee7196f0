"""Programs: the compiled functions of members of one structure, and what these carry from step to step."""
