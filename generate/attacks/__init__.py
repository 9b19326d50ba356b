"""One readable file per attack."""
