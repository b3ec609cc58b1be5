"""The page: one HTML file without scripts that asks no server for anything."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from kprtrack import __version__
from kprtrack.identity.confidence import LOW
from kprtrack.report.images import PageImage
from kprtrack.report.markup import Markup, element
from kprtrack.report.metadata import metadata_of, settings_of
from kprtrack.report.people import Presence, ReportedPerson
from kprtrack.report.people_section import people_section
from kprtrack.report.results import ReportedResult
from kprtrack.report.risks import Risk
from kprtrack.report.risks_section import risks_section
from kprtrack.report.sightings import Sighting
from kprtrack.report.timeline import Timeline, legend, swatch


@dataclass(frozen=True)
class ReportContent:
    """All that the page shows.

    Args:
        results: One for each video.
        people: Of all videos.
        sightings: The images of people.
        images: One for each sighting; none: there is no video.
        risks: The riskiest moments of each result.
        risk_counts: The number of all risky moments of each result.
        risk_images: The images of each of `risks`.
    """

    results: Sequence[ReportedResult]
    people: Sequence[ReportedPerson]
    sightings: Sequence[Sighting]
    images: Sequence[PageImage]
    risks: Sequence[Sequence[Risk]]
    risk_counts: Sequence[int]
    risk_images: Sequence[Sequence[Sequence[PageImage]]]


def report_html(content: ReportContent) -> bytes:
    """Make the page.

    Args:
        content: What it shows.
    """
    results = content.results
    title = f"People in {results[0].name}" if len(results) == 1 else f"People in {len(results)} videos"
    sections = [
        _head(content, title),
        *(_when(content, video) for video in range(len(results))),
        people_section(content.results, content.people, content.sightings, content.images),
        *(
            _risks(content, video)
            for video in range(len(results))
            if len(results) == 1 or content.risks[video]
        ),
        *(_corrections(result, len(results) > 1) for result in results if result.edits),
        *(_processing(result, len(results) > 1) for result in results),
    ]
    style = files("kprtrack.report").joinpath("static", "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"kprtrack {__version__}"),
        element("title", title),
        Markup(f"<style>{style}</style>"),
    )
    footer = element("footer", element("p", f"Made by kprtrack {__version__}. The page loads nothing else."))
    body = element("body", element("main", *sections), footer)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n".encode(errors="replace")


def _head(content: ReportContent, title: str) -> Markup:
    results = content.results
    frames = [_frame_counts(result) for result in results]
    durations = [float(result.starts[-1] - result.starts[0]) for result in results if result.timed]
    applied = sum(each.status == "applied" for result in results for each in result.edits)
    several = sum(len(person.presences) > 1 for person in content.people)
    figures = [
        (str(len(content.people)), "person" if len(content.people) == 1 else "people"),
        *([(str(several), "of them in several videos")] if len(results) > 1 else []),
        (str(max(frames)), "at most at once"),
        *([(results[0].duration_text(sum(durations)), "tracked")] if durations else []),
        (str(sum(content.risk_counts)), "moments to check"),
        *([(str(applied), "correction" if applied == 1 else "corrections")] if applied else []),
    ]
    cards = [element("li", element("strong", value), " ", meaning) for value, meaning in figures]
    notes = [
        f"{result.name}: {note}" if len(results) > 1 else note for result in results for note in result.notes
    ]
    if not content.images and content.people:
        notes.append("The report was made without a video, so it has no images.")
    if any(result.tracks.complete is False for result in results):
        notes.append("A run was interrupted: not all frames of the video were tracked.")
    return element(
        "header",
        element("h1", element("bdi", title)),
        element("ul", *cards, class_="figures"),
        element("ul", *(element("li", note) for note in notes), class_="notes") if notes else "",
    )


def _frame_counts(result: ReportedResult) -> int:
    """The most people in one frame."""
    return max((len(tracks) for tracks in result.tracks.frames), default=0)


def _title(text: str, result: ReportedResult, several: bool) -> Markup:
    return element("h2", text, *([" in ", element("bdi", result.name)] if several else []))


def _when(content: ReportContent, video: int) -> Markup:
    result, key = content.results[video], f"video-{video + 1}"
    heading = _title("Who was there when", result, len(content.results) > 1)
    timeline = Timeline(result, key)
    rows = []
    for person in content.people:
        for presence in (one for one in person.presences if one.video == video):
            label = element("a", swatch(person.colour), element("bdi", person.label), href=f"#{person.key}")
            spans = presence.spans
            rows.append(
                element(
                    "tr",
                    element("th", label, scope="row"),
                    element("td", timeline.bar(presence, person.colour), class_="when"),
                    element("td", result.moment_text(spans[0, 0]), class_="wide"),
                    element("td", result.moment_text(spans[-1, 1]), class_="wide"),
                    element("td", result.duration_text(presence.visible), class_="wide"),
                    *([_confidence(presence)] if result.tracks.header.identity_confidence else []),
                )
            )
    if not rows:
        return element("section", heading, element("p", "No person was tracked."))
    columns = [
        "first",
        "last",
        "seen for",
        *(["identity"] if result.tracks.header.identity_confidence else []),
    ]
    names = [element("th", text, scope="col", class_="wide") for text in columns]
    head = element(
        "thead",
        element(
            "tr",
            element("th", "person", scope="col"),
            element("th", element("span", "times", class_="spoken"), timeline.axis(), scope="col"),
            *names,
        ),
    )
    everyone = element(
        "tr",
        element("th", "everyone", scope="row"),
        element("td", timeline.people(), class_="when"),
        element("td", f"at most {_frame_counts(result)} at once", colspan=len(columns), class_="wide"),
    )
    table = element("table", head, element("tbody", everyone, *rows), class_="timeline")
    about = (
        "identity: the probability that all boxes are one person"
        if result.tracks.header.identity_confidence
        else ""
    )
    keys = legend(("seen", "not seen, and re-identified afterwards"), about)
    return element("section", heading, keys, table)


def _confidence(presence: Presence) -> Markup:
    if presence.confidence is None:
        return element("td", class_="wide")
    low = presence.confidence < LOW
    return element("td", f"{presence.confidence:.2f}", class_="wide low" if low else "wide")


def _risks(content: ReportContent, video: int) -> Markup:
    result = content.results[video]
    heading = _title("Moments to check", result, len(content.results) > 1)
    labels = {
        track_id: person.label
        for person in content.people
        for presence in person.presences
        if presence.video == video
        for track_id in presence.track_ids
    }
    return risks_section(
        heading, result, content.risks[video], content.risk_counts[video], content.risk_images[video], labels
    )


def _corrections(result: ReportedResult, several: bool) -> Markup:
    rows = [
        element(
            "tr",
            element("th", str(each.edit.number), scope="row"),
            element("td", element("code", each.edit.text)),
            element("td", each.status),
            element("td", each.details),
        )
        for each in result.edits
    ]
    names = [element("th", name, scope="col") for name in ("number", "correction", "result", "details")]
    table = element("table", element("thead", element("tr", *names)), element("tbody", *rows))
    about = element("p", "The report shows the tracks with these corrections.")
    return element("section", _title("Corrections", result, several), about, _scrolling(table))


def _processing(result: ReportedResult, several: bool) -> Markup:
    known = element("table", element("tbody", *_rows(metadata_of(result))), class_="metadata")
    parts = [_title("Processing", result, several), known]
    if settings := settings_of(result):
        table = element("table", element("tbody", *_rows(settings)), class_="metadata")
        parts.append(element("details", element("summary", "All settings of the run"), table))
    return element("section", *parts)


def _rows(entries: Sequence[tuple[str, str]]) -> list[Markup]:
    return [
        element("tr", element("th", name, scope="row"), element("td", value, class_="value"))
        for name, value in entries
    ]


def _scrolling(table: Markup) -> Markup:
    return element("div", table, class_="scroll", role="region", aria_label="Corrections", tabindex="0")
