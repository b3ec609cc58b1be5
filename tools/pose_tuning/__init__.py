"""Parts of tools/fine_tune_pose.py."""
