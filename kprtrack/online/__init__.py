"""Tracking frame by frame, for programs with a detector and a loop of their own: `kprtrack.Tracker`."""
