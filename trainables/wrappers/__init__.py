"""Encoders around encoders: one per file, named by it."""
