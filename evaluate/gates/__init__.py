"""Gates: conditions on a report's numbers that a build must meet."""
