"""Read results and their videos, and write the report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.core.progress import Progress
from kprtrack.rendering.video import notes_on_video
from kprtrack.report.images import PageImage, encoded, people_images, risk_images
from kprtrack.report.page import ReportContent, report_html
from kprtrack.report.people import people_of
from kprtrack.report.results import ReportedResult, read_result
from kprtrack.report.risks import Risk, risks_of
from kprtrack.report.sightings import Sighting, choose_sightings
from kprtrack.video.stills import FrameReader


def write_report(
    inputs: Sequence[tuple[str | Path, str | None]], out: str | Path, *, quiet: bool = True
) -> tuple[str, ...]:
    """Write a page about results: who was there when, images of each person, risky moments, settings.

    Args:
        inputs: Result files, each with its video (or a folder of its images), or None for no images.
        out: The page, one HTML file; replaced as a whole or not at all.
        quiet: Show no progress.

    Returns:
        Notes for the user: signs that a video is another one, or prototypes that cannot be used.

    Raises:
        InputError: A result, its edits or its video cannot be read, or the video has another size or lacks
            a frame.
        OutputError: The page cannot be written.

    Examples:
        >>> from kprtrack.report import write_report
        >>> write_report([("tracks.json", "video.mp4")], "report.html")
        ()
    """
    results = [_checked(read_result(path, source)) for path, source in inputs]
    people = people_of(results)
    sightings = choose_sightings(results, people)
    found = [risks_of(result) for result in results]
    risks = [shown for shown, _ in found]
    images, risky = _read_images(results, sightings, risks, quiet=quiet)
    content = ReportContent(
        results, people, sightings, encoded(images), risks, [count for _, count in found], risky
    )
    write_file(Path(out), report_html(content))
    return tuple(f"{result.path}: {note}" for result in results for note in result.notes)


def _checked(result: ReportedResult) -> ReportedResult:
    """The result with notes on its video. Raises: InputError if that has another size or cannot be read."""
    if result.source is None:
        return result
    with FrameReader(result.source) as reader:
        return result.with_notes(*notes_on_video(result.tracks, reader.info, result.source))


def _read_images(
    results: Sequence[ReportedResult],
    sightings: Sequence[Sighting],
    risks: Sequence[Sequence[Risk]],
    *,
    quiet: bool,
) -> tuple[list[np.ndarray], list[list[list[PageImage]]]]:
    """The images of people, in the order of the sightings, and those of risky moments."""
    images: dict[int, np.ndarray] = {}
    risky: list[list[list[PageImage]]] = []
    places = sum(len(risk.places) for each in risks for risk in each)
    with Progress(len(sightings) + places, "report", quiet, unit="images") as progress:
        for video, result in enumerate(results):
            if result.source is None:
                risky.append([])
                continue
            own = [index for index, sighting in enumerate(sightings) if sighting.video == video]
            with FrameReader(result.source) as reader:
                read = people_images(reader, [sightings[index] for index in own], progress.advance)
                images.update(zip(own, read, strict=True))
                risky.append(risk_images(reader, result, risks[video], progress.advance))
    return [images[index] for index in range(len(sightings))], risky
