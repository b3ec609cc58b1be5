"""Adapt the encoder in the package to own footage."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kprtrack.adaptation.mean_weights import write_mean_weights
from kprtrack.adaptation.people import (
    SETS,
    Split,
    choose_held_out,
    copy_people,
    possibly_the_same,
    write_sets,
)
from kprtrack.adaptation.report import CARD, WEIGHTS, Adaptation, model_card
from kprtrack.adaptation.scores import score_held_out, scores_from_json, share_of_resamples_better
from kprtrack.adaptation.settings import AdaptConfig
from kprtrack.adaptation.sources import Footage, Sources
from kprtrack.adaptation.steps import Steps, open_steps
from kprtrack.adaptation.track_crops import person_name, write_track_crops
from kprtrack.build import build_networks, compute_config
from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import UserError
from kprtrack.core.progress import Progress
from kprtrack.hub.store import find
from kprtrack.inference.compile import configure_threads
from kprtrack.inference.devices import ComputeConfig
from kprtrack.io import read_tracks
from kprtrack.reid_encoders.crops import PACKAGED, open_encoder
from kprtrack.run import track_video
from kprtrack.training.reid_annotations import crop_networks, make_keypoints, make_part_labels
from kprtrack.training.run_folder import LATEST
from kprtrack.training.tasks import load_config, train_reid
from kprtrack.video.inputs import short_name
from reid.datasets import ReidData, ReidSample, open_dataset
from reid.datasets.folder import people_below
from reid.training.config import ReidTrainConfig, with_settings

START = "small-kpr"  # weights that the training starts from
_PEOPLE, _TRACKS, _TRAINING = "people", "tracks", "training"  # folders
_MEAN = "mean.safetensors"  # of the weights before and after the training


def adapt(
    sources: Sources,
    out: Path,
    config: AdaptConfig | None = None,
    *,
    quiet: bool = True,
    log: Callable[[str], None] = lambda line: None,
) -> Adaptation:
    """Train the encoder in the package on own footage, and score it before and after on held-out people.

    Everything is written into `out`: tracks, crops, keypoints and part labels, the run of the training, a
    model card, and, if it is better, the weights. The same call resumes an interrupted adaptation; on a CPU
    with the same result.

    Args:
        sources: Videos or a folder of people, see `find_sources`.
        out: A folder, new or of an interrupted adaptation.
        config: Length of the training, share of held-out people and so on; None: the defaults.
        quiet: Show no progress.
        log: Called with a line for each step.

    Returns:
        The scores before and after, and whether to use the new weights.

    Raises:
        UserError: `out` holds another adaptation, and so are InputError, where there are too few people,
            WeightsError and OutputError.
        KeyboardInterrupt: After Ctrl-C.
    """
    config = config or AdaptConfig()
    _validate_out(sources, out)
    compute = compute_config(config.networks)
    configure_threads(compute)
    description = {**sources.fingerprint(), **config.result_settings(), "start": find(START).sha256}
    with open_steps(out, description, log) as steps:
        found = _collect(steps, sources, config, quiet=quiet)
        samples = open_dataset("folder", out / _PEOPLE, {"train_share": 0.0, "masks": None}).samples
        steps.run("keypoints", "keypoints", lambda: _make_keypoints(samples, config, quiet=quiet))
        split = steps.run("split", "choosing who is held out", lambda: _split(out, found, config, compute))
        data = open_dataset("folder", out / _PEOPLE, {"sets": SETS})
        log(f"{len(split['train'])} people for training, {len(split['held_out'])} held out")
        steps.run("part_labels", "part labels", lambda: _make_part_labels(data, quiet=quiet))

        def scores(weights: Path | None) -> Mapping[str, Any]:
            count = 2 * (len(data.query) + len(data.gallery))  # with and without prompts
            with Progress(count, "score", quiet, unit="crops") as progress:
                found = score_held_out(weights, data, split["protocol"], compute, progress.advance)
            return found.to_json()

        before = steps.run("before", "scoring the encoder in the package", lambda: scores(None))
        training = _training_config(out, data, config)
        steps.run("training", "training", lambda: _train(training, quiet=quiet))
        after = steps.run("after", "scoring the adapted encoder", lambda: scores(out / _TRAINING / _MEAN))
        return _finish(steps, sources, config, split, scores_from_json(before), scores_from_json(after))


def _validate_out(sources: Sources, out: Path) -> None:
    if not isinstance(sources, Footage) and out.resolve().is_relative_to(sources.root.resolve()):
        raise UserError(f"--out {out} lies in the folder of people itself. Choose a folder elsewhere.")


def _collect(steps: Steps, sources: Sources, config: AdaptConfig, *, quiet: bool) -> Mapping[str, Any]:
    """Fill the folder of people; returns each person's video, who is left out, and pairs seen at once."""
    people = steps.folder / _PEOPLE
    if isinstance(sources, Footage):
        files = _track_videos(steps, sources, config, quiet=quiet)
        parts = []
        for video, file in zip(sources.videos, files, strict=True):
            name = short_name(video)

            def cut(video: str = video, file: Path = file) -> Mapping[str, Any]:
                return _cut(video, file, people, config, quiet=quiet)

            parts.append(steps.run(f"crops_{name}", f"crops of {name}", cut))
        return {
            "videos": {person: video for part in parts for person, video in part["videos"].items()},
            "left_out": {person: reason for part in parts for person, reason in part["left_out"].items()},
            "seen_at_once": [pair for part in parts for pair in part["seen_at_once"]],
        }

    def copy() -> Mapping[str, Any]:
        copy_people(sources.root, people, config.crops.max_crops)
        counts: dict[str, int] = {}
        for _, person, _ in people_below(people):
            counts[person] = counts.get(person, 0) + 1
        return {
            "videos": {person: "" for person, count in counts.items() if count > 1},
            "left_out": {person: "one image" for person, count in counts.items() if count == 1},
            "seen_at_once": None,
        }

    return steps.run("crops", f"copying images of {sources.root}", copy)


def _track_videos(steps: Steps, sources: Footage, config: AdaptConfig, *, quiet: bool) -> list[Path]:
    """The result file of each video, made where none was given."""
    files = []
    for video, given in zip(sources.videos, sources.tracks, strict=True):
        name = short_name(video)
        file = given or steps.folder / _TRACKS / f"{name}.json"

        def track(video: str = video, file: Path = file) -> Mapping[str, Any]:
            file.parent.mkdir(exist_ok=True)
            networks = build_networks(config.networks)
            summary = track_video(
                video, file, config.networks, networks=networks, resume=True, prototypes=False, quiet=quiet
            )
            if summary.stopped is not None:
                raise summary.stopped
            return {"frames": summary.frames, "people": len(summary.ids)}

        if given is None:
            steps.run(f"tracks_{name}", f"tracking {name}", track)
        files.append(file)
    return files


def _cut(video: str, file: Path, people: Path, config: AdaptConfig, *, quiet: bool) -> Mapping[str, Any]:
    chosen = write_track_crops(read_tracks(file), video, people, config.crops, quiet=quiet)
    return {
        "videos": {person_name(video, each): short_name(video) for each in chosen.frames},
        "left_out": {person_name(video, each): reason for each, reason in chosen.left_out.items()},
        "seen_at_once": [[person_name(video, each) for each in pair] for pair in sorted(chosen.seen_at_once)],
    }


def _make_keypoints(
    samples: tuple[ReidSample, ...], config: AdaptConfig, *, quiet: bool
) -> Mapping[str, Any]:
    missing = [each for each in samples if not (isinstance(each.keypoints, Path) and each.keypoints.exists())]
    if not missing:  # those of the tracks
        return {"made": 0}
    estimate_poses, detect = crop_networks(config.networks, detects=True)
    with Progress(len(missing), "keypoints", quiet, unit="crops") as progress:
        advance = _advance_to(progress)
        batch = compute_config(config.networks).batch
        made = make_keypoints(missing, estimate_poses, detect=detect, batch=batch, on_crop=advance)
    return {"made": made}


def _make_part_labels(data: ReidData, *, quiet: bool) -> Mapping[str, Any]:
    with Progress(len(data.train), "part labels", quiet, unit="crops") as progress:
        return {"made": make_part_labels(data.train, on_crop=_advance_to(progress))}


def _advance_to(progress: Progress) -> Callable[[int, int], None]:
    """A callback for the number of crops done and of all crops."""
    reached = 0

    def advance(done: int, total: int) -> None:
        nonlocal reached
        progress.expect(total)
        progress.advance(done - reached)
        reached = done

    return advance


def _split(
    out: Path, found: Mapping[str, Any], config: AdaptConfig, compute: ComputeConfig
) -> Mapping[str, Any]:
    people = out / _PEOPLE
    videos, left_out = dict(found["videos"]), dict(found["left_out"])
    if found["seen_at_once"] is not None:
        data = open_dataset("folder", people, {"train_share": 0.0, "masks": None})
        names = {sample.identity: sample.image.parent.name for sample in data.samples}
        numbers = {name: number for number, name in names.items()}
        pairs = [(numbers[a], numbers[b]) for a, b in found["seen_at_once"]]
        embedded = open_encoder(PACKAGED, None, {}, compute).encode(data.samples, lambda more: None)
        for number, other in possibly_the_same(embedded, pairs).items():
            del videos[names[number]]
            left_out[names[number]] = f"may be the same person as {names[other]}"
    held_out = choose_held_out(videos, config.held_out, config.seed)
    train = tuple(name for name in sorted(videos) if name not in held_out)
    protocol = write_sets(people, Split(train, held_out, left_out))
    return {"train": train, "held_out": held_out, "left_out": left_out, "protocol": protocol}


def _training_config(out: Path, data: ReidData, config: AdaptConfig) -> ReidTrainConfig:
    people = len({each.identity for each in data.train})
    loaded = load_config("reid/adapt")
    assert isinstance(loaded, ReidTrainConfig)
    return with_settings(
        loaded,
        {
            "data": {"root": str(out / _PEOPLE), "options": {"sets": SETS}},
            "init": str(find(START).path),
            "out": str(out / _TRAINING),
            "seed": config.seed,
            "schedule": {"epochs": config.epochs},
            "sampler": {"identities": min(loaded.sampler.identities, people)},
            "computing": {"device": "cpu" if config.networks.device == "cpu" else "auto"},
        },
    )


def _train(config: ReidTrainConfig, *, quiet: bool) -> Mapping[str, Any]:
    folder = train_reid(config, quiet=quiet)
    write_mean_weights(find(START).path, folder / LATEST, folder / _MEAN)
    return {"epochs": config.schedule.epochs}


def _finish(
    steps: Steps, sources: Sources, config: AdaptConfig, split: Mapping[str, Any], *scores: Any
) -> Adaptation:
    before, after = scores
    who = Split(tuple(split["train"]), tuple(split["held_out"]), split["left_out"])
    better_share = share_of_resamples_better(before, after)
    result = Adaptation(steps.folder, who, before, after, better_share)
    if result.better:
        write_file(steps.folder / WEIGHTS, (steps.folder / _TRAINING / _MEAN).read_bytes())
    card = model_card(result, sources.names, config.result_settings(), split["protocol"])
    write_file(steps.folder / CARD, card.encode())
    return result
