"""Scores of weights, and masks from them."""
