"""One file per command, which only parses and prints. Stages are imported inside the commands."""
