"""Other packages' environments: compiled if they have JaxMARL's interface, else in worker processes."""
