"""ByteTrack with its official settings: association by boxes only; poses are passed through, no encoder runs.

Source: Zhang et al., ByteTrack, ECCV 2022. The baseline for everything that looks at people.
"""

reid = "none"
tracker = dict(
    name="bytetrack",
    track_thresh=0.6,
    match_thresh=0.8,
    max_lost_s=1.0,  # track_buffer 30 at 30 frames per second
    fuse_score=True,
)
