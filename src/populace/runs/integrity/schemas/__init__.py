"""What the JSON files of a run hold."""
