"""The section with a contact sheet of each person."""

from collections.abc import Sequence

from kprtrack.identity.confidence import LOW
from kprtrack.identity.persons import link_probabilities, probability_text
from kprtrack.report.images import PageImage
from kprtrack.report.markup import Markup, element, join
from kprtrack.report.people import Presence, ReportedPerson, gaps
from kprtrack.report.results import ReportedResult
from kprtrack.report.sightings import Sighting
from kprtrack.report.timeline import swatch


def people_section(
    results: Sequence[ReportedResult],
    people: Sequence[ReportedPerson],
    sightings: Sequence[Sighting],
    images: Sequence[PageImage],
) -> Markup:
    """Make the section.

    Args:
        results: One for each video.
        people: Of all videos.
        sightings: What the images show.
        images: One for each sighting; none: there is no video.
    """
    if not people:
        return Markup()
    figures: dict[int, list[Markup]] = {}
    before: dict[int, int] = {}  # the video of the last figure of each person
    for sighting, image in zip(sightings, images, strict=False):
        shown = figures.setdefault(sighting.person, [])
        first = sighting.video != before.get(sighting.person)  # of a video
        shown.append(_figure(results, people[sighting.person], sighting, image, first))
        before[sighting.person] = sighting.video
    cards = [
        _card(results, person, figures.get(index, []), bool(images)) for index, person in enumerate(people)
    ]
    return element("section", element("h2", "People"), element("div", *cards, class_="people"))


def _card(
    results: Sequence[ReportedResult], person: ReportedPerson, figures: Sequence[Markup], with_images: bool
) -> Markup:
    heading = element("h3", swatch(person.colour), element("bdi", person.label))
    lines = [
        _line(results[presence.video], presence, person.label, len(results) > 1)
        for presence in person.presences
    ]
    sheet = element("ul", *figures, class_="sheet") if figures else ""
    if with_images and not figures:
        seen = any(results[presence.video].source is not None for presence in person.presences)
        why = "people who were seen longer have the images" if seen else "the video was not given"
        sheet = element("p", f"No image: {why}.", class_="soft")
    return element("article", element("div", heading, *lines), sheet, id=person.key)


def _line(result: ReportedResult, presence: Presence, label: str, several: bool) -> Markup:
    """When a person was seen in a video, in one paragraph."""
    begin, end = result.moment_text(presence.spans[0, 0]), result.moment_text(presence.spans[-1, 1])
    number = len(gaps(result, presence))
    again = _times(number) + _linked(result, presence)
    tracks = f"; track{'s' * (len(presence.track_ids) > 1)} {', '.join(map(str, presence.track_ids))}"
    known = label == f"Track {presence.track_ids[0]}"  # a heading that says so
    seen = (
        f"{begin} to {end}, seen for {result.duration_text(presence.visible)}{again}{'' if known else tracks}"
    )
    where = [element("bdi", result.name), ": "] if several else []
    return join(element("p", *where, seen, class_="soft"), _confidence(presence))


def _confidence(presence: Presence) -> Markup:
    if presence.confidence is None:
        return Markup()
    low = presence.confidence < LOW
    advice = ", worth a look" if low else ""
    value = f"identity confidence {presence.confidence:.2f}{advice}"
    return element("p", value, class_="low" if low else "soft")


def _linked(result: ReportedResult, presence: Presence) -> str:
    """How probable the least probable link of the tracks is; nothing where nothing was linked."""
    known = link_probabilities(result.tracks.header.config)
    least = min((known.get(track_id, 1.0) for track_id in presence.track_ids), default=1.0)
    return f", linked with probability {probability_text(least)}" if least < 1 else ""


def _times(number: int) -> str:
    return {0: "", 1: ", re-identified once", 2: ", re-identified twice"}.get(
        number, f", re-identified {number} times"
    )


def _figure(
    results: Sequence[ReportedResult],
    person: ReportedPerson,
    sighting: Sighting,
    image: PageImage,
    first: bool,
) -> Markup:
    result = results[sighting.video]
    moment = result.moment_text(sighting.place.time_s if result.timed else sighting.place.frame)
    where = f" in {result.name}" if len(results) > 1 else ""
    shown = element(
        "img",
        src=image.address,
        width=image.width,
        height=image.height,
        alt=f"{person.label} at {moment}{where}",
    )
    name = [element("bdi", result.name), element("br")] if first and len(results) > 1 else []
    caption = element("figcaption", *name, moment, title=f"frame {sighting.place.frame}{where}")
    return element("li", element("figure", shown, caption))
