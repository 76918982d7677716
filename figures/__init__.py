"""Regenerates the figures: one module a paper, one function a figure."""
