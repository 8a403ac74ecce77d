"""Views: random changes of points that keep their class; one component per file."""
