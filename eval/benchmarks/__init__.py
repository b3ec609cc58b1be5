"""Readers of benchmarks: their files in, sequences of truth and tracks out."""
