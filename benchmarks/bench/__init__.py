"""What segeval's work costs beside the floor that the hardware sets: see `python -m benchmarks.bench --help`."""
