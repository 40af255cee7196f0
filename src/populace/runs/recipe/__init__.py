"""Recipes: what is trained and how, as a file says it."""
