"""How strong claims and search are: hypotheses dropped, bounds scaled, mistakes planted."""
