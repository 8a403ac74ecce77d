"""Aggregators: the embeddings of a group become one; one component per file."""
