"""Training of the detectors and pose estimators; the encoder's is `reid.training.trainer`."""
