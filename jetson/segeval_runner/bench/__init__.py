"""Benchmark of a bundle's engines, by rules after MLPerf's."""
