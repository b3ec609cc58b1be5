"""Tracks in the form of tables and of other libraries."""
