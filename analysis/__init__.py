"""Statistics, figures and reports from the tables of a study."""
