"""Analysis: how gradients flow, and what layers cost."""
