"""tools/permissive_list.py keeps what may be used for anything, and nothing else."""

from tools.permissive_list import permissive

SOURCES = {"faces": {"licence": "MIT"}, "sports": {"licence": "none stated"}, "demo": {"licence": "AGPL-3.0"}}


def test_only_images_with_a_permissive_licence_are_kept() -> None:
    names = [
        "photographs/faces_0001.jpg",
        "photographs/sports_0001.jpg",
        "photographs/demo_0002.jpg",
        "photographs/unknown_0001.jpg",
        "synthetic/train_000_0001.jpg",
        "videos/intel_one_by_one_000010.jpg",
        "videos/street_000010.jpg",
        "mot17/faces_0001_x.jpg",
    ]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    people = [{"image_id": number % len(names), "id": number} for number in range(20)]
    kept, counts = permissive({"images": images, "annotations": people, "categories": [1]}, SOURCES)
    assert [image["id"] for image in kept["images"]] == [0, 4, 5]
    assert {person["image_id"] for person in kept["annotations"]} == {0, 4, 5}
    assert counts == {
        ("faces", "MIT"): 1,
        ("synthetic", "this project"): 1,
        ("intel_one_by_one", "CC-BY-4.0"): 1,
    }
    assert kept["categories"] == [1]
