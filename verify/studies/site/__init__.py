"""The documentation site: pages generated from the registry and the record, and the build."""
