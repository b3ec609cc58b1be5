"""Summary of a dataset: its content, and what is missing or damaged."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kprtrack.core.errors import InputError, printable
from reid.datasets import open_dataset
from reid.datasets.crops import read_image, skeletons_of
from reid.datasets.sample import ReidData, ReidSample
from reid.evaluation.metrics import PROTOCOLS, Labels
from reid.parts.mask_files import read_fields

_SHOWN = 5  # of the problems of a kind
_BATCH_IDENTITIES = 16  # of the published configs


@dataclass(frozen=True)
class CheckReport:
    """Report of a dataset; it is usable if there are no `problems`."""

    metadata: tuple[str, ...]
    notes: tuple[str, ...]  # not wrong, but worth knowing
    problems: tuple[str, ...]

    def __str__(self) -> str:
        """The whole report, a line each."""
        notes = [f"note: {line}" for line in self.notes]
        problems = [f"problem: {line}" for line in self.problems]
        verdict = "See the problems above." if problems else "No problems found."
        return "\n".join(map(printable, (*self.metadata, *notes, *problems, verdict)))


@dataclass
class _Findings:
    """Grows with the samples."""

    sizes: list[tuple[int, int]] = field(default_factory=list)  # height width
    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def look(self, kind: str, read: Callable[[], object]) -> None:
        try:
            read()
        except InputError as error:
            self.wrong[kind].append(str(error))
        else:
            self.counts[kind] += 1


def check_dataset(
    name: str,
    root: Path,
    options: Mapping[str, object],
    *,
    quick: bool = False,
    on_sample: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Open the dataset and every file of it. quick: only check that the files exist.

    Args:
        on_sample: Called with the number of crops checked and their total.

    Raises:
        UserError: A setting or option is wrong.
        InputError: The dataset cannot be opened.
    """
    data = open_dataset(name, root, options)
    samples, found = data.samples, _Findings()
    for number, sample in enumerate(samples, start=1):
        (_see if quick else _read)(sample, found)
        if on_sample:
            on_sample(number, len(samples))
    return CheckReport(
        tuple(_facts(data, found, len(samples), root)),
        tuple(_notes(data)),
        tuple(_problems(found, len(samples))),
    )


def _see(sample: ReidSample, found: _Findings) -> None:
    named = {"images": sample.image, "keypoints": sample.keypoints, "human parsing": sample.masks}
    for kind, path in named.items():
        if isinstance(path, Path):
            found.look(kind, lambda path=path: _validate_missing(path))  # type: ignore[misc]
        elif path is not None:
            found.counts[kind] += 1


def _validate_missing(path: Path) -> None:
    if not path.exists():
        raise InputError(f"There is no {path}.")


def _read(sample: ReidSample, found: _Findings) -> None:
    def image() -> None:
        found.sizes.append(read_image(sample.image).shape[:2])

    def keypoints() -> None:
        # Where the image is damaged its size is unknown; any will do to read the file.
        height, width = found.sizes[-1] if found.sizes else (256, 128)
        skeletons = skeletons_of(sample, height, width)
        found.counts["posed"] += bool((skeletons[0, :, 2] > 0).any())
        found.counts["others"] += len(skeletons) > 1

    found.look("images", image)
    if sample.keypoints is not None:
        found.look("keypoints", keypoints)
    if (masks := sample.masks) is not None:
        found.look("human parsing", lambda: read_fields(masks))


def _facts(data: ReidData, found: _Findings, total: int, root: Path) -> Iterable[str]:
    yield f"{data.name} in {root}: {total} crops"
    for name, samples in (("train", data.train), ("query", data.query), ("gallery", data.gallery)):
        people, cameras = {each.identity for each in samples}, {each.camera for each in samples}
        by = f"{_number(len(people), 'person', 'people')} by {_number(len(cameras), 'camera', 'cameras')}"
        yield f"  {name:8}{_number(len(samples), 'crop', 'crops'):>12} of {by}"
    if found.sizes:
        heights, widths = np.array(found.sizes).T
        yield (
            f"  images are {heights.min()} to {heights.max()} pixels high (half of them at least "
            f"{int(np.median(heights))}) and {widths.min()} to {widths.max()} wide"
        )
    for kind, option in (("keypoints", "keypoints"), ("human parsing", "masks")):
        named = any(getattr(each, option) is not None for each in data.samples)
        count = found.counts[kind]
        yield f"  {kind}: {f'{count} of {total} crops, {count / total:.1%}' if named else 'none'}"
    if "posed" in found.counts:
        yield (
            f"  {found.counts['posed']} crops have keypoints of the person, "
            f"{found.counts['others']} have another person's, too"
        )


def _notes(data: ReidData) -> Iterable[str]:
    crops = Counter(each.identity for each in data.train)
    if not crops:
        yield "it has no training set; train on another dataset, such as market1501."
    elif len(crops) < _BATCH_IDENTITIES:
        yield (
            f"{len(crops)} people are fewer than the {_BATCH_IDENTITIES} of a usual batch; train with "
            f"sampler.identities={len(crops)} or less."
        )
    if single := [name for name, count in crops.items() if count == 1]:
        yield (
            f"{len(single)} people have one crop to train on, for example {single[0]}: it is repeated in "
            "its batches and teaches little."
        )
    if both := set(crops) & {each.identity for each in data.query}:
        yield f"{len(both)} people are both in train and query: the scores will be too high."
    alone = _unanswered(data)
    if alone:
        yield (
            f"{len(alone)} of {len(data.query)} queries have no match in the gallery and do not count, "
            f"for example {alone[0].image}."
        )


def _unanswered(data: ReidData) -> list[ReidSample]:
    """Queries without a match in the gallery that the protocol allows."""
    members: dict[int, list[ReidSample]] = defaultdict(list)
    for each in data.gallery:
        members[each.identity].append(each)
    return [
        query
        for query in data.query
        if not PROTOCOLS[data.protocol](_labels([query]), 0, _labels(members[query.identity])).any()
    ]


def _labels(samples: list[ReidSample]) -> Labels:
    columns = np.array([(each.identity, each.camera, each.video) for each in samples], int).reshape(-1, 3)
    return Labels(*columns.T)


def _problems(found: _Findings, total: int) -> Iterable[str]:
    """A text for each kind: the first message whole, then what is wrong with a few more."""
    for kind, messages in found.wrong.items():
        shown = [messages[0], *(each.partition(". ")[0] for each in messages[1:_SHOWN])]
        more = [f"and {len(messages) - _SHOWN} more"] if len(messages) > _SHOWN else []
        head = f"{kind} of {len(messages)} of {total} crops are missing or damaged:"
        yield "\n  ".join((head, *shown, *more))


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
