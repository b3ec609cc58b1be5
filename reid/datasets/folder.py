"""Any folder of people: one sub-folder for each, or names that start with the person.

People are named by the first folder of an image's path, or, where images lie in no folder, by the file
name before the first "_". The camera is what follows "_c" in the name (Market-1501's custom), else a second
folder (PERSON/CAMERA/a.jpg), else unknown. Both can be given as regular expressions instead, which are
searched in the path below the set's folder and whose first group counts.

Folders called query and gallery, with or without train, are the three sets. Without them the people are
split: `train_share` of them, drawn with `seed`, are for training; of the others the first image by each
camera is a query, everything else the gallery. With unknown cameras nothing of
the gallery is left out of the ranking. `sets` names a file that lists the images of each set instead.
"""

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.json_file import load_json
from reid.datasets.layout import (
    OWN_KEYPOINTS,
    OWN_MASKS,
    AnnotationPaths,
    images_below,
    split_identities,
    validate_empty,
)
from reid.datasets.sample import ReidData, ReidSample

_SETS = ("train", "query", "gallery")
_CAMERA = re.compile(r"_c(\d+)", re.IGNORECASE)
_JUNK = "-1"  # Market-1501's name for unknown identities
PersonImage = tuple[Path, str, str]  # path below root, person, camera ("" unknown)


@dataclass(frozen=True)
class FolderConfig:
    """Options of a folder of people."""

    identity: str | None = None  # regular expression with one group; None: as described above
    camera: str | None = None  # likewise
    # A json file in the folder, {"train": [...], "query": [...], "gallery": [...]} of paths below the folder
    sets: str | None = None
    train_share: float = 0.8  # of the identities, where the folder has no sets
    seed: int = 0  # of drawing them
    keypoints: str | None = OWN_KEYPOINTS  # folder, None: no keypoints
    masks: str | None = OWN_MASKS  # folder, None: no masks


def folder(root: Path, config: FolderConfig) -> ReidData:
    """Open the people below `root`.

    Args:
        root: Folder of the dataset.
        config: Options of the dataset.

    Returns:
        Training set, query and gallery.
    """
    annotation_paths = AnnotationPaths(root, config.keypoints, config.masks)
    patterns = (_pattern("identity", config.identity), _pattern("camera", config.camera))
    if config.sets is not None:
        named = {image[0].as_posix(): image for image in people_below(root, ".", *patterns)}
        listed = {name: [named[each] for each in paths] for name, paths in _listed(root, config.sets, named)}
        return _of_sets(annotation_paths, listed, trains=bool(listed[_SETS[0]]))
    given = all((root / name).is_dir() for name in _SETS[1:])
    if not given:
        found = people_below(root, ".", *patterns)
        return validate_empty(
            _split(_samples(annotation_paths, found), config.train_share, config.seed),
            root,
            trains=config.train_share > 0,
        )
    with_train = (root / _SETS[0]).is_dir()
    sets = {name: people_below(root, name, *patterns) for name in (_SETS if with_train else _SETS[1:])}
    return _of_sets(annotation_paths, sets, trains=with_train)


def _of_sets(
    annotation_paths: AnnotationPaths, sets: Mapping[str, list[PersonImage]], *, trains: bool
) -> ReidData:
    samples = iter(_samples(annotation_paths, [one for found in sets.values() for one in found]))
    parts = {name: tuple(next(samples) for _ in found) for name, found in sets.items()}
    protocol = _protocol(parts["query"] + parts["gallery"])
    data = ReidData("folder", parts.get("train", ()), parts["query"], parts["gallery"], protocol)
    return validate_empty(data, annotation_paths.root, trains=trains)


def _listed(root: Path, name: str, known: Container[str]) -> Iterator[tuple[str, list[str]]]:
    """The images of each set in the file. Raises: InputError for another content or an unknown image."""
    file = root / name
    content = load_json(file)
    for each in _SETS:
        images = content.get(each) if isinstance(content, dict) else None
        if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
            raise InputError(f"{file} must list images as {each!r}, such as {{{each!r}: ['ann/1.jpg']}}.")
        if missing := [image for image in images if image not in known]:
            raise InputError(f"{file} names {missing[0]}, which is no image below {root}.")
        yield each, images


def _pattern(option: str, text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UserError(f"{option}={text!r} is not a regular expression: {error}.") from error
    if pattern.groups < 1:
        raise UserError(f"{option}={text!r} needs a group in round brackets around the {option}.")
    return pattern


def people_below(
    root: Path,
    name: str = ".",
    identity: re.Pattern[str] | None = None,
    camera: re.Pattern[str] | None = None,
) -> list[PersonImage]:
    """List the images of a folder of people with the names of person and camera.

    Args:
        root: The folder of people.
        name: The set, a folder below it.
        identity: Whose first group is the person; None: as described above.
        camera: Whose first group is the camera; None: as described above.

    Returns:
        Path below `root`, person and camera ("" where unknown) of each image, in the order of the paths.

    Raises:
        InputError: There are no images.
        UserError: An image belongs to no person.
    """
    found = []
    for path in images_below(root, name):
        inner = path.relative_to(name)
        person = _search(identity, inner, "identity") if identity else _person(inner, root)
        camera_name = _search(camera, inner, "camera") if camera else _camera(inner)
        if person != _JUNK:
            found.append((path, person, camera_name))
    return found


def _search(pattern: re.Pattern[str], path: Path, option: str) -> str:
    match = pattern.search(path.as_posix())
    if match is None or match[1] is None:
        raise UserError(
            f"{option}={pattern.pattern!r} finds nothing in {path.as_posix()}. Correct the expression, "
            "or move the image elsewhere."
        )
    return match[1]


def _person(path: Path, root: Path) -> str:
    if len(path.parts) > 1:
        return path.parts[0]
    person, underscore, _ = path.name.partition("_")
    if not underscore:
        raise UserError(
            f"{root / path}: unknown person. Put images into a folder for each person, "
            "name them PERSON_..., or use identity=EXPRESSION."
        )
    return person


def _camera(path: Path) -> str:
    if match := _CAMERA.search(path.name):
        return match[1]
    return path.parts[1] if len(path.parts) > 2 else ""


def _samples(annotation_paths: AnnotationPaths, found: list[PersonImage]) -> list[ReidSample]:
    """Samples with identities and cameras numbered in the order of their names."""
    people = {name: number for number, name in enumerate(sorted({person for _, person, _ in found}))}
    cameras = {name: number for number, name in enumerate(sorted({name for _, _, name in found}))}
    return [
        annotation_paths.sample(path, people[person], cameras[camera_name])
        for path, person, camera_name in found
    ]


def _split(samples: list[ReidSample], train_share: float, seed: int) -> ReidData:
    if not 0 <= train_share < 1:
        raise UserError(f"train_share is {train_share}; it must be at least 0 and below 1.")
    people = {each.identity for each in samples}
    chosen = split_identities(people, int(train_share * len(people)), seed)
    test = [each for each in samples if each.identity not in chosen]
    first = {(each.identity, each.camera): each for each in reversed(test)}
    queries = set(first.values())
    return ReidData(
        "folder",
        train=tuple(each for each in samples if each.identity in chosen),
        query=tuple(each for each in test if each in queries),
        gallery=tuple(each for each in test if each not in queries),
        protocol=_protocol(tuple(test)),
    )


def _protocol(test: tuple[ReidSample, ...]) -> str:
    """The default protocol excludes the camera of the query; with one camera no gallery would be left."""
    return "default" if len({each.camera for each in test}) > 1 else "mot_inter_intra_video"
