"""Evaluations with rigorous error bounds, and exact networks."""
