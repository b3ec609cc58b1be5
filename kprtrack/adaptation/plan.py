"""What an adaptation would do, without doing it."""

from collections import Counter

from kprtrack.adaptation.clean_tracks import choose_clean_tracks
from kprtrack.adaptation.settings import AdaptConfig, expected_minutes
from kprtrack.adaptation.sources import Footage, Sources
from kprtrack.io import read_tracks
from kprtrack.video.clip import Clip
from kprtrack.video.inputs import short_name
from reid.datasets.folder import people_below


def plan(sources: Sources, config: AdaptConfig) -> str:
    """Describe an adaptation: people, images, held-out people, expected time; nothing is written.

    Args:
        sources: Videos or a folder of people.
        config: Of the adaptation.

    Returns:
        Lines of text.

    Raises:
        InputError: A video, a result file or an image cannot be found or read.
    """
    lines, crops, people, frames = [], 0, 0, 0
    if isinstance(sources, Footage):
        for video, file in zip(sources.videos, sources.tracks, strict=True):
            name = short_name(video)
            if file is None:
                with Clip(video).open() as opened:
                    expected = opened.expected_frames or 0
                lines.append(f"{name}: {expected} frames to track; its people are known afterwards")
                frames += expected
                continue
            chosen = choose_clean_tracks(read_tracks(file).frames, config.crops)
            images = sum(map(len, chosen.frames.values()))
            found = f"{len(chosen.frames)} people, {images} images"
            lines.append(f"{name}: {found}; {len(chosen.left_out)} tracks left out")
            people, crops = people + len(chosen.frames), crops + images
    else:
        counts = Counter(person for _, person, _ in people_below(sources.root))
        several = [count for count in counts.values() if count > 1]
        people, crops = len(several), sum(min(count, config.crops.max_crops) for count in several)
        lines.append(
            f"{sources.root}: {people} people, {crops} images; {len(counts) - people} people left out"
        )
    if people:
        held_out = round(config.held_out * people)
        lines.append(f"about {people - held_out} people for training, {held_out} held out")
    minutes = expected_minutes(config, frames=frames, crops=crops, poses=not isinstance(sources, Footage))
    known = "" if not frames else ", and the training on the people that are found"
    lines.append(f"about {max(1, round(minutes))} min on one CPU core ({config.epochs} epochs){known}")
    return "\n".join(lines)
