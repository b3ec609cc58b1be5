"""Which annotations are people, by the names of the categories."""

import json
from pathlib import Path
from typing import Any

import pytest

from kprtrack.core.errors import InputError
from kprtrack.core.files.coco import CocoFile, read_coco
from kprtrack.core.files.selection import Selection

BICYCLE, PEDESTRIAN = {"id": 1, "name": "bicycle"}, {"id": 2, "name": "pedestrian"}


def coco(folder: Path, categories: list[dict[str, Any]], *category_ids: object) -> CocoFile:
    """A file with one annotation of each of these category ids; None: without one."""
    annotations = [{"image_id": 7} | ({} if id is None else {"category_id": id}) for id in category_ids]
    (folder / "a.json").write_text(
        json.dumps({"images": [{"id": 7}], "annotations": annotations, "categories": categories})
    )
    return read_coco(folder / "a.json")


@pytest.mark.parametrize(
    ("categories", "category_ids", "people"),
    [
        ([{"id": 3, "name": "pedestrian"}], [3, 3], [0, 1]),
        ([{"id": 3}], [3], [0]),
        ([{"name": "person"}], [7], [0]),
        ([{"id": 3, "name": "player"}], [None], [0]),
        ([{"id": 0, "name": "dog"}, {"id": 1, "name": "Person"}], [0, 1, 1], [1, 2]),
        ([{"id": 1, "name": "PERSON "}, {"id": 2, "name": "dog"}], [1.0, 2], [0]),
        ([{"id": "p", "name": "person"}, {"id": "d", "name": "dog"}], ["d", "p"], [1]),
        ([], [None, None], [0, 1]),
        ([], [1, 3, 1], [0, 2]),  # COCO's number of people
        ([], [0, 0], [0, 1]),  # counted from 0, as many detectors do
    ],
)
def test_people_are_person_in_any_case_or_the_only_category(
    tmp_path: Path, categories: list[dict[str, Any]], category_ids: list[object], people: list[int]
) -> None:
    assert coco(tmp_path, categories, *category_ids).people().indices.tolist() == people


@pytest.mark.parametrize(("category", "people"), [("pedestrian", [1]), ("Bicycle", [0]), ("2", [1])], ids=str)
def test_a_category_is_chosen_by_name_in_any_case_or_by_number(
    tmp_path: Path, category: str, people: list[int]
) -> None:
    file = coco(tmp_path, [BICYCLE, PEDESTRIAN], 1, 2)
    assert file.people(Selection(category)).indices.tolist() == people


def test_a_choice_for_files_of_several_categories_leaves_others_as_they_are(tmp_path: Path) -> None:
    select = Selection("pedestrian", where_several=True)
    assert len(coco(tmp_path, [{"id": 1, "name": "person"}], 1).people(select)) == 1
    assert len(coco(tmp_path, [BICYCLE, PEDESTRIAN], 1, 1, 2).people(select)) == 1


@pytest.mark.parametrize(
    ("categories", "category_ids", "category", "message"),
    [
        (
            [BICYCLE, PEDESTRIAN],
            [1],
            None,
            "called person: bicycle, pedestrian. Choose one with --category NAME",
        ),
        (
            [BICYCLE, PEDESTRIAN],
            [1],
            "dog",
            "called 'dog', but bicycle, pedestrian. Choose one with --category",
        ),
        ([PEDESTRIAN], [2], "dog", "called 'dog', but pedestrian"),
        ([], [2, 3], None, "called person: 2, 3"),
        (
            [BICYCLE, PEDESTRIAN],
            [5],
            "bicycle",
            "annotation 0, .* category_id 5 is none of the categories: 1, 2",
        ),
        ([PEDESTRIAN], [0], None, "category_id 0 is none of the categories: 2"),
        ([BICYCLE, PEDESTRIAN], [None], "bicycle", "category_id None is none of"),
        ([PEDESTRIAN], [[2]], None, r"category_id \[2\] is none of"),
        ([{"name": "person"}, BICYCLE], [1], None, 'category 0: it needs an "id" and a "name"'),
        ([{"id": 1, "name": ["person"]}], [1], None, 'category 0: it needs an "id" and a "name"'),
        ([PEDESTRIAN, PEDESTRIAN], [2], None, "category 1: id 2 is repeated"),
    ],
)
def test_what_is_ambiguous_or_unknown_is_an_error_with_all_names(
    tmp_path: Path,
    categories: list[dict[str, Any]],
    category_ids: list[object],
    category: str | None,
    message: str,
) -> None:
    file = coco(tmp_path, categories, *category_ids)
    with pytest.raises(InputError, match=message):
        file.people(Selection(category, option="--{} NAME"))
