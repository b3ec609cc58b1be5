"""The section with the moments at which an identity is most likely wrong."""

from collections.abc import Mapping, Sequence

from kprtrack.report.images import PageImage
from kprtrack.report.markup import Markup, element
from kprtrack.report.results import ReportedResult
from kprtrack.report.risks import Risk

_WHAT = {
    "overlap": "Two people in one place",
    "margin": "Similar appearance",
    "re-entry": "Seen again after a gap",
    "continuation": "A track begins where another one ended",
    "jump": "A box jumps",
}


def risks_section(
    heading: Markup,
    result: ReportedResult,
    risks: Sequence[Risk],
    count: int,
    images: Sequence[Sequence[PageImage]],
    labels: Mapping[int, str],
) -> Markup:
    """Make the section.

    Args:
        heading: Its heading.
        result: The result.
        risks: The moments, the riskiest first.
        count: The number of all risky moments.
        images: Of each moment.
        labels: What people are called, by track ID.
    """
    if not risks:
        return element("section", heading, element("p", "There is no risky moment."))
    about = (
        "Identities are most likely wrong at these moments; the order says where to look first and is no"
        " probability."
    )
    if count > len(risks):
        about += f" The {len(risks)} riskiest of {count}; kprtrack review shows all."
    items = [
        _item(result, risk, images[number] if images else (), labels) for number, risk in enumerate(risks)
    ]
    return element("section", heading, element("p", about), element("ol", *items, class_="risks"))


def _item(
    result: ReportedResult, risk: Risk, images: Sequence[PageImage], labels: Mapping[int, str]
) -> Markup:
    moment = risk.moment
    names = {track_id: labels.get(track_id, f"Track {track_id}") for track_id in moment.track_ids}
    figures = [
        _figure(image, " and ".join(names.values()), _text(result, place.time_s, place.frame))
        for image, place in zip(images, risk.places, strict=False)  # no images without a video
    ]
    who = [
        element("li", element("bdi", name), f" is track {track_id}")
        for track_id, name in names.items()
        if name != f"Track {track_id}"
    ]
    edit = element("p", "Correction, if it is wrong: ", element("code", moment.edit)) if moment.edit else ""
    return element(
        "li",
        element("div", *figures, class_="moment") if figures else "",
        element("h3", f"{_text(result, moment.time_s, moment.frame)}  {_WHAT[moment.kind]}"),
        element("p", f"Track {moment.track_ids[0]}: " if moment.kind == "margin" else "", moment.details),
        element("ul", *who) if who else "",
        edit,
    )


def _figure(image: PageImage, names: str, moment: str) -> Markup:
    shown = element(
        "img", src=image.address, width=image.width, height=image.height, alt=f"{names} at {moment}"
    )
    return element("figure", shown, element("figcaption", moment))


def _text(result: ReportedResult, time_s: float | None, frame: int) -> str:
    """The moment, "frame 12" where times are unknown."""
    return f"frame {frame}" if not result.timed or time_s is None else result.moment_text(time_s)
