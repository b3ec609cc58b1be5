"""The parts of score_honest.py: lists of labelled images, people pasted into them, scores."""
