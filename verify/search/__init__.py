"""The search: how a counterexample is found, decided, shrunk and kept."""
