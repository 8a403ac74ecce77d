"""Importers into the Parquet schema of a study; one foreign format per file."""
