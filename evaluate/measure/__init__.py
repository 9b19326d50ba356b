"""From label maps to the rows of a report: counting, statistics, and what can be read off the rows."""
