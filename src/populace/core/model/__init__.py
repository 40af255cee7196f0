"""What a model is made of: its layers, its arrays by name, the shapes of what trains it."""
