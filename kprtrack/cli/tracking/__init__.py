"""The commands that track videos: one after the other, or many at once."""
