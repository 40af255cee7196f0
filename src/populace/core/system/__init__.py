"""The machine below: what is asked of the operating system."""
