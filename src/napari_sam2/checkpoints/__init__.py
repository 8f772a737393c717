"""Weights known by name: which there are, how they come onto this machine, and whether they are what they should be."""
