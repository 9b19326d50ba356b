"""The report that people read: one HTML page, the files beside it, and the tables of the terminal."""
