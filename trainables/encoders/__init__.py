"""Encoders: a point becomes an embedding; one component per file."""
