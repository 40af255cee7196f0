"""Layers: pure Equinox modules on one example, channels last; they know nothing of training."""
