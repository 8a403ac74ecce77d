"""Losses that train encoder and aggregator; one component per file."""
