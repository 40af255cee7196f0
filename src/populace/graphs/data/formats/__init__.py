"""Graphs from and to other formats: edge lists, matrices, tables of nodes, NetworkX, PyTorch Geometric."""
