"""What runs in the worker processes that hold Gymnasium environments.

Nothing in here imports JAX or anything else of populace, so that a worker starts as fast as Gymnasium does.
"""
