"""What a torch module computes, recorded as it runs; the one table of operations."""
