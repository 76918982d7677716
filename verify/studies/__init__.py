"""Studies about this repository: findings, recorded tables, generated pages. Not installed."""
