"""Findings: what the suite has found out about the papers and their public code, verified three ways."""
