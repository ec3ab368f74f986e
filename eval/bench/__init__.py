"""Benchmarks: what the index costs in time, memory and disk, at a size that users have. Not part of the tests."""
