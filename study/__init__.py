"""Studies: search, record, tracking, confirmation and export of configurations."""
