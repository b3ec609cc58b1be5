"""Who is who: what a run keeps of every track, and how tracks of several videos are linked."""
