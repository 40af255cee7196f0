"""Event files that TensorBoard shows: curves, the graph of a model, histograms."""
