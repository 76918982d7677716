"""Sums over the paths of a recorded module, without enumerating them."""
