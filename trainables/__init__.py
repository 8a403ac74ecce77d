"""Encoders, aggregators, losses and views of groups of points, and their training, in PyTorch."""
