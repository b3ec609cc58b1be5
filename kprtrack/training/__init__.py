"""Training of detectors, pose estimators and ReID encoders; `loop` trains a `task`."""
