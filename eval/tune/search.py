"""Searches tracker settings on stored observations: no network runs, and half of the videos stay unseen.

The search is random and local: each trial takes the best settings so far and draws one to three of them anew.
Only half of the videos decide what is best. The other half says what the settings are worth on new videos.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.report.output import validate_file, write_whole
from eval.tune.log import TrialLog
from eval.tune.score import METRICS, Trying, Video, videos_to_tune
from eval.tune.space import Space, space_of
from eval.workers import Workers
from kprtrack import __version__
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.progress import Progress
from kprtrack.io.header import plain


@dataclass(frozen=True)
class Trial:
    """One set of settings and what it reached, in percent."""

    settings: Mapping[str, Any]  # those that differ from the given ones; none: the given ones themselves
    tuned: float  # on the videos that decide
    held_out: float | None  # on the others; None: there are none


@dataclass(frozen=True)
class TuneResult:
    """The outcome of a search."""

    best: dict[str, Any]  # settings that differ from the given ones
    table: str
    trials: list[Trial]  # in order; the first is of the given settings


# One argument for every question that the command line asks.
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
    """The best settings of `config.tracker` found in so many trials; `out` (.json) holds them for `--config`.

    observations: folder of .npz. truth: PoseTrack21's root, or a folder of track files of the same names.
    metric: box_hota, idf1 (of the MOTA kit), or with PoseTrack21's truth keypoint_hota, whose official count
        makes much of frames without tracks, and keypoint_hota_fixed.
    Every trial is a line of OUT.trials.jsonl; a search that was broken off goes on from there, and
    so does one with more `trials`. The same seed gives the same search.
    Raises: UserError, InputError, OutputError.
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    if trials < 1:
        raise UserError(f"trials must be at least 1, not {trials}.")
    if out.suffix != ".json":
        raise UserError(f"The best settings are written as .json, not as '{out.name}'.")
    validate_file(out, "--out")
    space = space_of(config.tracker)
    space.values(config.tracker.options)  # misspelt options are told now
    videos = videos_to_tune(observations, ground_truth, METRICS[metric])
    search = _Search(config.tracker, space, metric, seed, videos)
    log = TrialLog(out.with_suffix(".trials.jsonl"), search.origin(ground_truth))
    done = search.run(log, trials, quiet=quiet, processes=processes)
    best = max(done, key=lambda trial: trial.tuned)  # of equals the first
    options = {**config.tracker.options, **best.settings}
    content = {"tracker": {"name": config.tracker.name, **options}}
    write_whole(out, json.dumps(plain(content), indent=2).encode() + b"\n")
    return TuneResult(dict(best.settings), search.table(done[0], best), done)


@dataclass(frozen=True)
class _Search:
    tracker: ComponentConfig
    space: Space
    metric: str
    seed: int
    videos: list[Video]

    def origin(self, ground_truth: Path) -> dict[str, object]:
        """What must be the same for the trials of a log to be those of this search."""
        sizes = {video.name: video.observations.stat().st_size for video in self.videos}
        return {
            "kprtrack": __version__,
            "metric": self.metric,
            "seed": self.seed,
            "tracker": {"name": self.tracker.name, **self.tracker.options},
            "truth": str(ground_truth),
            "observations": sizes,
            "ranges": dict(self.space.ranges),
        }

    def run(self, log: TrialLog, count: int, *, quiet: bool, processes: int) -> list[Trial]:
        """So many trials, those in the log without running."""
        given = self.space.values(self.tracker.options)
        done = [Trial(**line) for line in log.read()[:count]]
        with (
            Workers(Trying(self.metric, self.tracker), processes) as workers,
            Progress((count - len(done)) * len(self.videos), "tuning", quiet, unit="videos") as progress,
        ):
            while len(done) < count:
                best = max(done, key=lambda trial: trial.tuned, default=None)
                changed: Mapping[str, Any] = {}
                if best is not None:
                    random = np.random.default_rng([self.seed, len(done)])
                    changed = self.space.change({**given, **best.settings}, random)
                settings = {name: value for name, value in changed.items() if value != given[name]}
                scores = dict(workers.run([(video, settings) for video in self.videos], progress.advance))
                trial = Trial(settings, *self._judge(scores))
                log.append(trial)
                done.append(trial)
        return done

    def _judge(self, scores: Mapping[str, Any]) -> tuple[float, float | None]:
        tuned, held_out = halves([video.name for video in self.videos])
        of_all = METRICS[self.metric].of_all
        first = of_all({name: scores[name] for name in tuned})
        return first, of_all({name: scores[name] for name in held_out}) if held_out else None

    def table(self, given: Trial, best: Trial) -> str:
        """Before and after, and whether to believe it."""
        tuned, held_out = halves([video.name for video in self.videos])
        rows = [
            (self.metric, "given", "best", "change"),
            _scores(f"{len(tuned)} videos tuned on", given.tuned, best.tuned),
        ]
        if given.held_out is not None and best.held_out is not None:
            rows.append(_scores(f"{len(held_out)} videos not seen", given.held_out, best.held_out))
        values = self.space.values(self.tracker.options)
        rows += [(name, str(values[name]), str(value), "") for name, value in best.settings.items()]
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, _verdict(given, best)])


def halves(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names that decide and those that stay unseen, by hash: always the same, whatever else is there."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    middle = (len(ranked) + 1) // 2
    return ranked[:middle], ranked[middle:]


def _scores(label: str, given: float, best: float) -> tuple[str, str, str, str]:
    return label, f"{given:.2f}", f"{best:.2f}", f"{best - given:+.2f}"


def _verdict(given: Trial, best: Trial) -> str:
    if not best.settings:
        return "Nothing better than the given settings was found."
    if given.held_out is None or best.held_out is None:
        return "With one video nothing says what the settings are worth on another."
    if best.held_out > given.held_out:
        return "The gain on the videos not seen is what to expect of new ones of their kind."
    return "No gain on the videos not seen: these settings fit only the others. Keep the given ones."
