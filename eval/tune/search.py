"""Search tracker settings on stored observations; no network runs.

The search is random and local: each trial resamples one to three of the best settings so far. Half of the
videos are optimised; the other half is held out and shows how the settings generalise.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.report.output import validate_file
from eval.tune.log import Trial, TrialLog
from eval.tune.score import METRICS, SettingsScorer, Video, videos_to_tune
from eval.tune.space import Space, space_of
from eval.workers import Workers
from kprtrack import __version__
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.progress import Progress
from kprtrack.io.header import plain


@dataclass(frozen=True)
class TuneResult:
    """The result of a search.

    Attributes:
        best: The best settings, as far as they differ from the initial ones.
        table: Scores before and after, as text.
        trials: All trials in order; the first one has the initial settings.
    """

    best: dict[str, Any]
    table: str
    trials: list[Trial]


# One argument for each option of the command line.
def run_tune(  # noqa: PLR0913
    observations: Path,
    ground_truth: Path,
    config: TrackConfig,
    *,
    trials: int = 100,
    seed: int = 0,
    metric: str = "box_hota",
    out: Path,
    quiet: bool = True,
    processes: int = 1,
) -> TuneResult:
    """Search settings of `config.tracker` and write the best ones to a file for `--config`.

    Each trial is stored as a line of OUT.trials.jsonl; an interrupted search resumes from there, and so does
    one with more `trials`. The same seed gives the same search.

    Args:
        observations: Folder of .npz files from `kprtrack observe` or `bench`.
        ground_truth: PoseTrack21's root, a folder of track files with the same names, or the file of a single
            video.
        config: The tracker and its initial settings.
        trials: Number of settings to try, the initial ones included.
        seed: Seed of the search.
        metric: box_hota or idf1 (of the MOTA kit); with PoseTrack21's ground truth also keypoint_hota, whose
            official counting penalises frames without tracks heavily, and keypoint_hota_fixed.
        out: A .json file for the best settings.
        quiet: Show no progress.
        processes: Number of worker processes.

    Raises:
        UserError: An argument is invalid, or the log belongs to another search.
        InputError: Observations or ground truth are missing or invalid.
        OutputError: A file cannot be written.
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    if trials < 1:
        raise UserError(f"trials must be at least 1, not {trials}.")
    if out.suffix != ".json":
        raise UserError(f"The best settings are written as .json, not as '{out.name}'.")
    validate_file(out, "--out")
    space = space_of(config.tracker)
    space.values(config.tracker.options)  # rejects misspelt options before the search
    videos = videos_to_tune(observations, ground_truth, METRICS[metric])
    search = _Search(config.tracker, space, metric, seed, videos)
    log = TrialLog(out.with_suffix(".trials.jsonl"), search.origin(ground_truth))
    done = search.run(log, trials, quiet=quiet, processes=processes)
    best = max(done, key=lambda trial: trial.tuned)  # the first one of equals
    options = {**config.tracker.options, **best.settings}
    content = {"tracker": {"name": config.tracker.name, **options}}
    write_file(out, json.dumps(plain(content), indent=2).encode() + b"\n")
    return TuneResult(dict(best.settings), search.table(done[0], best), done)


@dataclass(frozen=True)
class _Search:
    tracker: ComponentConfig
    space: Space
    metric: str
    seed: int
    videos: list[Video]

    def origin(self, ground_truth: Path) -> dict[str, object]:
        """Return what must be equal for stored trials to be reused."""
        sizes = {video.name: video.observations.stat().st_size for video in self.videos}
        return {
            "kprtrack": __version__,
            "metric": self.metric,
            "seed": self.seed,
            "tracker": {"name": self.tracker.name, **self.tracker.options},
            "ground_truth": str(ground_truth),
            "observations": sizes,
            "ranges": dict(self.space.ranges),
        }

    def run(self, log: TrialLog, count: int, *, quiet: bool, processes: int) -> list[Trial]:
        """Return `count` trials; those in the log are not run again."""
        initial = self.space.values(self.tracker.options)
        done = log.read()[:count]
        for trial in done:
            try:
                self.space.values({**self.tracker.options, **trial.settings})
            except UserError as error:
                raise log.damaged(error) from error
        with (
            Workers(SettingsScorer(self.metric, self.tracker), processes) as workers,
            Progress((count - len(done)) * len(self.videos), "tuning", quiet, unit="videos") as progress,
        ):
            while len(done) < count:
                best = max(done, key=lambda trial: trial.tuned, default=None)
                changed: Mapping[str, Any] = {}
                if best is not None:
                    random = np.random.default_rng([self.seed, len(done)])
                    changed = self.space.change({**initial, **best.settings}, random)
                settings = {name: value for name, value in changed.items() if value != initial[name]}
                scores = dict(workers.run([(video, settings) for video in self.videos], progress.advance))
                trial = Trial(settings, *self._combine(scores))
                log.append(trial)
                done.append(trial)
        return done

    def _combine(self, scores: Mapping[str, Any]) -> tuple[float, float | None]:
        """Return the scores of the tuned and of the held-out videos."""
        tuned, held_out = halves([video.name for video in self.videos])
        of_all = METRICS[self.metric].of_all
        first = of_all({name: scores[name] for name in tuned})
        return first, of_all({name: scores[name] for name in held_out}) if held_out else None

    def table(self, initial: Trial, best: Trial) -> str:
        """Return the scores before and after, the changed settings and an assessment."""
        tuned, held_out = halves([video.name for video in self.videos])
        rows = [
            (self.metric, "initial", "best", "change"),
            _scores(f"{len(tuned)} tuned videos", initial.tuned, best.tuned),
        ]
        if initial.held_out is not None and best.held_out is not None:
            rows.append(_scores(f"{len(held_out)} held-out videos", initial.held_out, best.held_out))
        values = self.space.values(self.tracker.options)
        rows += [(name, str(values[name]), str(value), "") for name, value in best.settings.items()]
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, _assessment(initial, best)])


def halves(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split names into tuned and held-out ones by their hashes."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    middle = (len(ranked) + 1) // 2
    return ranked[:middle], ranked[middle:]


def _scores(label: str, initial: float, best: float) -> tuple[str, str, str, str]:
    return label, f"{initial:.2f}", f"{best:.2f}", f"{best - initial:+.2f}"


def _assessment(initial: Trial, best: Trial) -> str:
    if not best.settings:
        return "No better settings than the initial ones were found."
    if initial.held_out is None or best.held_out is None:
        return "With a single video, no video is held out: the gain on other videos is unknown."
    if best.held_out > initial.held_out:
        return "Expect the gain of the held-out videos on new videos of the same kind."
    return (
        "No gain on the held-out videos: the best settings overfit the tuned ones. Keep the initial settings."
    )
