"""What a person uses: the command line, the table, the report and the pytest plugin."""
