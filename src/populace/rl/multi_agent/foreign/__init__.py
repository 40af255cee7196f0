"""Environments of several agents of other packages, in worker processes."""
