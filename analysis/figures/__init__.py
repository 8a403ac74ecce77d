"""Figures of a report; one figure per file: first its data, then its drawing."""
