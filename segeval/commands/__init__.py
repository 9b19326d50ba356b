"""One file per command: it parses and prints, and decides nothing. Stages are imported inside the commands."""
