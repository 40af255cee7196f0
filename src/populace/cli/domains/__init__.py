"""Commands of one domain each."""
