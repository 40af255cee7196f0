"""One sitting of training a run: its head, the session, its conclusion."""
