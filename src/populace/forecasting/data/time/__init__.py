"""Time of observations: stamps as numbers that can be counted, and the distance from one to the next."""
