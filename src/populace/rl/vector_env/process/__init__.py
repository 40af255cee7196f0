"""Process: what runs in the processes that hold environments of Gymnasium's kind.

Nothing in here imports JAX or the rest of populace, so that a process costs what Gymnasium costs.
"""
