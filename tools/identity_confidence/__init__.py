"""Sets of short videos with labelled persons, for measuring how well tracks of several videos are linked."""
