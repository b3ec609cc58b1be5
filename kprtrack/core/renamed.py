"""Names of settings, options and components before version 0.2, for the error that tells the new one.

This table and CHANGELOG.md are the only places that know the old names.
"""

# Keys of config files and of `--set`.
SETTINGS = {
    "settle_s": "output_delay_s",
    "birth_score": "new_track_score",
    "birth_s": "min_track_age_s",
    "birth_match_cost": "tentative_match_cost",
    "sprout_score": "tentative_score",
    "newcomer_s": "reid_window_s",
    "recognise_distance": "reid_max_distance",
    "recognise_margin": "reid_min_margin",
    "recognise_sights": "reid_min_updates",
    "veto_distance": "gating_distance",
    "max_covered": "max_occlusion",
    "strangers_distance": "inter_identity_distance",
    "runtime": "backend",
}

# Options of the command line.
OPTIONS = {
    "--truth": "--ground-truth",
    "--runtime": "--backend",
}

# Values of --detector and --pose.
COMPONENTS = {
    "given": "file",
}

# Keys of "models" in result files of version 1.
METADATA = {
    "runs_in": "backend",
    "runtime": "compute",
}
