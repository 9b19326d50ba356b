"""A report's data in formats that every tool reads: JSON lines, Parquet, palette PNG, and JSON schemas of the files."""
