"""Link sets of videos with labelled persons, and print how well: a row for each set.

    python tools/measure_linking.py SET [SET ...]
    python tools/measure_linking.py SET --enrol

The sets are folders of `python tools/make_linking_sets.py`. A folder of several sets is one row: their links
are counted together, other scores are means. With --enrol each person's first video is put into a gallery
under a name, if the person is in another video as well, and only the other videos are linked with it: how
many tracks get the right name, another's, or none, and how many people who are not in the gallery get a name.
Memory is the peak of this process.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from linking_sets.reading import LabelledVideo, read_set, sets_below
from linking_sets.writing import GROUND_TRUTH

from eval.benchmarks.score_linked import score_linked
from eval.datatypes import Scores
from eval.metrics.links import UNMATCHED, name_scores
from kprtrack.core.appearance import join_appearances
from kprtrack.identity.linking import link
from kprtrack.identity.persons import KnownPersons
from kprtrack.identity.results import write_linked

_KB = 1024  # ru_maxrss


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET")
    parser.add_argument("--enrol", action="store_true", help="link with a gallery of the first videos")
    options = parser.parse_args()
    if options.enrol:
        print("| set | known persons | named | misnamed | unnamed | FPIR |\n|---|---|---|---|---|---|")
    else:
        print(
            "| set | videos | P | R | wrong | missed | FPIR | HOTA before, after | IDF1 before, after"
            " | linking, memory |\n|---|---|---|---|---|---|---|---|---|---|"
        )
    for folder in options.sets:
        print(enrolled_row(folder) if options.enrol else row(folder), flush=True)


def row(folder: Path) -> str:
    """Link the sets of a folder, and return a row."""
    scores: list[dict[str, Scores]] = []
    seconds, videos = 0.0, 0
    for one in sets_below(folder):
        results = [video.result for video in read_set(one)]
        start = time.process_time()
        links = link([result.prototypes for result in results])
        seconds += time.process_time() - start
        videos += len(results)
        with tempfile.TemporaryDirectory() as linked:
            write_linked(results, links, {}, Path(linked))
            measures = score_linked(one / GROUND_TRUTH, Path(linked)).measures
        scores.append({name: measure.combined for name, measure in measures.items()})

    def total(measure: str, field: str) -> float:
        return float(sum(np.mean(each[measure][field]) for each in scores))

    def change(measure: str, field: str) -> str:
        before, after = (
            100 * total(f"{kind}_{measure}", field) / len(scores) for kind in ("unlinked", "linked")
        )
        return f"{before:.1f}, {after:.1f}"

    right, wrong, missed = (total("links", f"{kind}_links") for kind in ("right", "wrong", "missed"))
    unknown = total("links", "unknown")
    linked_unknown = sum(
        float(each["links"]["FPIR"]) * float(each["links"]["unknown"])
        for each in scores
        if each["links"]["unknown"]
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KB
    cells = (
        folder.name,
        videos,
        _percent(right, right + wrong),
        _percent(right, right + missed),
        int(wrong),
        int(missed),
        f"{_percent(linked_unknown, unknown)} of {int(unknown)}",
        change("hota", "HOTA"),
        change("identity", "IDF1"),
        f"{seconds:.2f} s, {peak:.0f} MB",
    )
    return f"| {' | '.join(map(str, cells))} |"


def enrolled_row(folder: Path) -> str:
    """Put the first video of each person of several into a gallery, link the others, and return a row."""
    videos = read_set(folder)
    known, enrolled = _gallery(videos)
    probes = [video for number, video in enumerate(videos) if number not in enrolled]
    links = link([video.result.prototypes for video in probes], known)
    names, gt_names = [], []
    for video, persons in zip(probes, links.persons, strict=True):
        for track, person in zip(video.result.prototypes.track_ids.tolist(), video.persons, strict=True):
            names.append(known.names.get(persons[track]))
            gt_names.append(known.names.get(int(person)))
    scores = name_scores(names, gt_names)
    fields = ("right_names", "wrong_names", "missed_names", "FPIR")
    cells = (folder.name, len(known), *(_percent(float(scores[field]), 1) for field in fields))
    return f"| {' | '.join(map(str, cells))} |"


def _gallery(videos: Sequence[LabelledVideo]) -> tuple[KnownPersons, set[int]]:
    """The known persons, whose IDs are those of the ground truth, and the numbers of their videos."""
    places: dict[int, list[tuple[int, int]]] = {}
    for number, video in enumerate(videos):
        for track, person in enumerate(video.persons.tolist()):
            if person != UNMATCHED:
                places.setdefault(person, []).append((number, track))
    several = {person: found for person, found in places.items() if len({video for video, _ in found}) > 1}
    persons = sorted(several)
    tracks = [(videos[several[one][0][0]].result.prototypes, several[one][0][1]) for one in persons]
    known = KnownPersons(
        ids=np.array(persons, np.int64),
        means=join_appearances([prototypes.means[np.array([track])] for prototypes, track in tracks]),
        weights=np.array([prototypes.weights[track] for prototypes, track in tracks], np.int64),
        next_id=max(places, default=0) + 1,
        names={person: f"person {person}" for person in persons},
    )
    return known, {several[one][0][0] for one in persons}


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole and np.isfinite(part) else "-"


if __name__ == "__main__":
    main()
