"""The claims, one module a paper, in the paper's order."""
