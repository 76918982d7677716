"""Torch modules as what the claims are checked on."""
