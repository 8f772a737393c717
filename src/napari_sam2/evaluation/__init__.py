"""Measures of tracking against the truth."""
