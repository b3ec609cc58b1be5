"""The model store finds, downloads, verifies and imports weights; its errors say what to do."""

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.web import Site, local_site

from kprtrack.config import configure
from kprtrack.core.errors import OutputError, UserError, WeightsError
from kprtrack.hub import store as models
from kprtrack.hub.cache import exclusive_lock
from kprtrack.hub.catalog import CATALOGUE, PUBLISHED_PIPELINE
from kprtrack.hub.entry import ModelEntry, is_permissive

WEIGHTS = bytes(range(256)) * 2000  # 512,000 bytes
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for site in local_site(monkeypatch):
        site.body = WEIGHTS
        yield site


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def entry_at(site: Site, **changes: object) -> ModelEntry:
    """A catalogue entry whose file is on the local web server."""
    entry = ModelEntry(
        name="tiny",
        kind="reid",
        architecture="kpr-swinv2",
        file_name="tiny.pth",
        page="https://example.org/tiny",
        licence="MIT",
        score="none",
        url=f"http://127.0.0.1:{site.port}/tiny.pth",
        size_bytes=len(WEIGHTS),
        sha256=SHA256,
    )
    return replace(entry, **changes)


def download(entry: ModelEntry) -> models.ModelFile:
    return models.download(entry, allow_localhost=True)


def write_part(store: Path, content: bytes, version: str = '"v1"') -> None:
    """Files of an interrupted download."""
    store.mkdir(parents=True)
    (store / "tiny.pth.part").write_bytes(content)
    (store / "tiny.pth.part.version").write_text(version)


def contents(store: Path) -> list[str]:
    """All but hidden files."""
    return sorted(path.name for path in store.iterdir() if not path.name.startswith("."))


def wrong_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not these weights")
    return path


# --- download


def test_a_download_is_stored_as_one_verified_file(site: Site, store: Path) -> None:
    got = download(entry_at(site))
    assert got.path.read_bytes() == WEIGHTS
    assert got.sha256 == SHA256
    assert contents(store) == ["hashes.json", "tiny.pth", "tiny.pth.json"]


def test_an_installed_file_is_not_requested_again(site: Site) -> None:
    download(entry_at(site))
    download(entry_at(site))
    assert len(site.requested_ranges) == 1


def test_progress_ends_at_the_full_size(site: Site) -> None:
    calls: list[tuple[int, int | None]] = []
    models.download(
        entry_at(site), progress=lambda done, total: calls.append((done, total)), allow_localhost=True
    )
    assert calls[-1] == (len(WEIGHTS), len(WEIGHTS))


def test_an_interrupted_download_is_resumed(site: Site, store: Path) -> None:
    write_part(store, WEIGHTS[:300_000])
    assert download(entry_at(site)).path.read_bytes() == WEIGHTS
    assert site.requested_ranges == ["bytes=300000-"]


def test_an_interrupted_transfer_is_resumed_automatically(site: Site) -> None:
    site.cut_at = [200_000, 400_000]
    assert download(entry_at(site)).path.read_bytes() == WEIGHTS
    assert site.requested_ranges == [None, "bytes=200000-", "bytes=400000-"]


def test_repeated_interruptions_are_an_error_and_keep_the_part(site: Site, store: Path) -> None:
    site.cut_at = [1000] * 9
    with pytest.raises(WeightsError, match="interrupted after 1,000 bytes; run the command again to resume"):
        download(entry_at(site))
    assert site.requested_ranges == [None, "bytes=1000-"]
    assert (store / "tiny.pth.part").stat().st_size == 1000
    assert not (store / "tiny.pth").exists()


def test_a_server_without_ranges_sends_the_whole_file(site: Site, store: Path) -> None:
    site.ranges = False
    write_part(store, WEIGHTS[:300_000])
    assert download(entry_at(site)).path.read_bytes() == WEIGHTS


def test_a_part_of_an_older_version_is_deleted(site: Site, store: Path) -> None:
    write_part(store, b"x" * 300_000, version='"v0"')
    assert download(entry_at(site, sha256=None)).path.read_bytes() == WEIGHTS


def test_a_part_of_unknown_version_is_deleted(site: Site, store: Path) -> None:
    write_part(store, b"x" * 300_000, version="")
    assert download(entry_at(site, sha256=None)).path.read_bytes() == WEIGHTS
    assert site.requested_ranges == [None]


def test_a_download_with_a_weak_entity_tag_is_not_resumed(site: Site, store: Path) -> None:
    site.etag = 'W/"v1"'
    site.cut_at = [200_000]
    assert download(entry_at(site)).path.read_bytes() == WEIGHTS
    assert site.requested_ranges == [None, None]


def test_a_complete_part_is_verified_and_renamed(site: Site, store: Path) -> None:
    write_part(store, WEIGHTS)
    assert download(entry_at(site)).sha256 == SHA256


def test_a_part_longer_than_the_file_is_deleted(site: Site, store: Path) -> None:
    write_part(store, WEIGHTS + b"more")
    assert download(entry_at(site)).path.read_bytes() == WEIGHTS


def test_a_download_with_another_hash_is_kept_as_rejected(site: Site, store: Path) -> None:
    site.body = WEIGHTS[:-1] + b"!"
    with pytest.raises(WeightsError, match=f"expected {SHA256}"):
        download(entry_at(site))
    assert not (store / "tiny.pth").exists()
    assert (store / "tiny.pth.rejected").exists()


def test_a_mismatch_says_when_the_expected_hash_is_from_a_mirror(site: Site) -> None:
    with pytest.raises(WeightsError, match="comes from a mirror and may itself be wrong"):
        download(entry_at(site, sha256="0" * 64, sha256_from="mirror"))


def test_a_file_of_another_size_is_not_stored(site: Site, store: Path) -> None:
    with pytest.raises(WeightsError, match="offers 512,000 bytes, expected 7"):
        download(entry_at(site, size_bytes=7))
    assert contents(store) == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=utf-8", b"Quota exceeded"),
        ("application/octet-stream", b"\n<!DOCTYPE html><title>Virus scan warning</title>"),
    ],
)
def test_a_web_page_instead_of_the_file_is_an_error_with_manual_steps(
    site: Site, content_type: str, body: bytes
) -> None:
    site.body, site.content_type = body, content_type
    with pytest.raises(WeightsError, match=r"web page instead of the file.*kprtrack models import tiny.pth"):
        download(entry_at(site, size_bytes=None, sha256=None))


def test_without_internet_access_the_error_names_link_and_import(site: Site) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    with pytest.raises(WeightsError, match=r"Cannot reach 127.0.0.1.*Open http.*models import tiny.pth"):
        download(entry_at(site, url=f"http://127.0.0.1:{closed}/tiny.pth"))


def test_an_http_error_is_reported(site: Site) -> None:
    site.status = 404
    with pytest.raises(WeightsError, match="answered 404"):
        download(entry_at(site))


def test_two_processes_cannot_download_the_same_file_at_once(site: Site, store: Path) -> None:
    store.mkdir(parents=True)
    with exclusive_lock(store / "tiny.pth"), pytest.raises(WeightsError, match="Another process"):
        download(entry_at(site))
    assert download(entry_at(site)).sha256 == SHA256


@pytest.mark.parametrize("known", [True, False])
def test_a_download_without_a_length_ends_at_a_limit(
    site: Site, store: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    site.sends_length, site.body = False, WEIGHTS * 3
    monkeypatch.setattr("kprtrack.hub.download.MOST_BYTES", 2 * len(WEIGHTS))
    monkeypatch.setattr("kprtrack.hub.download.CHUNK_BYTES", 100)
    entry = entry_at(site) if known else entry_at(site, size_bytes=None)
    limit = len(WEIGHTS) if known else 2 * len(WEIGHTS)
    with pytest.raises(WeightsError, match=f"sends more than {limit:,} bytes"):
        download(entry)
    assert not list(store.glob("*.pth*part"))


def test_a_download_without_a_length_is_complete_where_it_ends(site: Site) -> None:
    site.sends_length = False
    assert download(entry_at(site, size_bytes=None)).sha256 == SHA256


def test_a_file_is_not_imported_while_it_is_downloaded(site: Site, store: Path, tmp_path: Path) -> None:
    source = tmp_path / "mine.pth"
    source.write_bytes(b"weights")
    store.mkdir(parents=True)
    with exclusive_lock(store / "mine.pth"), pytest.raises(WeightsError, match=r"is writing mine\.pth"):
        models.import_file(source, "mine")
    assert models.import_file(source, "mine").path.read_bytes() == b"weights"


@pytest.mark.parametrize("url", ["http://example.org/a.pth", "file:///etc/hostname", "ftp://127.0.0.1/a.pth"])
def test_only_https_is_downloaded(site: Site, url: str) -> None:
    with pytest.raises(WeightsError, match="only https"):
        download(entry_at(site, url=url))


def test_localhost_must_be_allowed(site: Site) -> None:
    with pytest.raises(WeightsError, match="only https"):
        models.download(entry_at(site))


def test_a_redirect_to_http_is_an_error(site: Site) -> None:
    site.redirect = "http://example.org/tiny.pth"
    with pytest.raises(WeightsError, match=r"http://example.org/tiny.pth is not downloaded: only https"):
        download(entry_at(site))


def test_a_file_without_a_direct_link_needs_a_browser() -> None:
    with pytest.raises(WeightsError, match=r"no direct link. Open https://drive.google.com/drive/folders"):
        models.get("kpr-market-solider")


def test_a_store_that_cannot_be_created_is_an_output_error(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(wrong_file(tmp_path / "a_file")))
    with pytest.raises(OutputError, match="KPRTRACK_HOME"):
        download(entry_at(site))


def test_a_drive_file_is_downloaded_from_its_page_not_its_direct_link() -> None:
    with pytest.raises(
        WeightsError, match=r"Open https://drive.google.com/file/d/1P4mY0Yyd3PPTybgZkjMYhFri88nTmJX5/"
    ):
        models.find("bytetrack-x-mot17")


def test_a_store_that_cannot_be_written_is_an_output_error(site: Site, store: Path) -> None:
    (store / ".tiny.pth.lock").mkdir(parents=True)  # stands for a folder without write permission
    with pytest.raises(OutputError, match=r"Cannot write .*KPRTRACK_HOME="):
        download(entry_at(site))


# --- trust on first use


def test_a_file_without_a_published_hash_is_unverified(site: Site) -> None:
    got = download(entry_at(site, sha256=None))
    assert got.sha256 == SHA256
    assert got.trust.startswith("unverified")


def test_a_published_hash_prefix_is_reported_as_prefix(site: Site) -> None:
    assert (
        download(entry_at(site, sha256=SHA256[:8])).trust
        == "matches the first 8 digits of the sha256 from the publisher"
    )


def test_a_changed_file_without_a_published_hash_is_an_error(site: Site) -> None:
    entry = entry_at(site, sha256=None)
    wrong_file(download(entry).path)
    with pytest.raises(WeightsError, match="has changed"):
        download(entry)


def test_a_removed_file_must_be_downloaded_unchanged(site: Site) -> None:
    entry = entry_at(site, sha256=None)
    download(entry).path.unlink()
    site.body = WEIGHTS[::-1]
    with pytest.raises(WeightsError, match="has changed"):
        download(entry)


def test_a_damaged_published_file_is_an_error(store: Path) -> None:
    wrong_file(store / CATALOGUE["yolox-nano-coco"].file_name)
    with pytest.raises(WeightsError, match="is not 'yolox-nano-coco'"):
        models.find("yolox-nano-coco")


# --- find


def test_the_error_for_missing_weights_says_how_to_get_them(store: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        models.find("yolox-x-coco")
    text = str(caught.value)
    assert "yolox_x.pth, 793 MB, licence Apache-2.0" in text
    assert "kprtrack models get yolox-x-coco" in text
    assert "kprtrack models import yolox_x.pth" in text
    assert str(store) in text


def test_the_error_for_weights_without_a_link_offers_no_download() -> None:
    with pytest.raises(WeightsError) as caught:
        models.find("kpr-occ-duke-solider")
    assert "models get" not in str(caught.value)


def test_find_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def reject(*_: object) -> None:
        raise AssertionError("opened a connection")

    monkeypatch.setattr(socket.socket, "connect", reject)
    with pytest.raises(WeightsError):
        models.find("yolox-x-coco")


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(WeightsError, match="Did you mean 'yolox-x-coco'"):
        models.find("yoloxx-coco")


def test_a_missing_path_is_reported_as_path() -> None:
    with pytest.raises(WeightsError, match=r"No file of weights at .*mine.pth"):
        models.find("mine.pth")


def test_an_existing_path_needs_no_catalogue_entry(tmp_path: Path) -> None:
    path = wrong_file(tmp_path / "mine.pth")
    got = models.find(path)
    assert (got.path, got.entry, got.trust) == (path, None, "your own file")


def test_a_bytetrack_file_given_by_path_has_its_settings(tmp_path: Path) -> None:
    entry = models.find(wrong_file(tmp_path / "bytetrack_x_mot17.pth.tar")).entry
    assert entry is not None
    assert entry.settings["yolox.preprocess"] == "legacy"


def test_a_file_name_does_not_identify_weights_that_have_a_hash(tmp_path: Path) -> None:
    assert models.find(wrong_file(tmp_path / "yolox_x.pth")).entry is None


# --- import


def test_an_imported_file_is_found_by_its_new_name(tmp_path: Path) -> None:
    got = models.import_file(wrong_file(tmp_path / "Best (1).pth.tar"), "my-encoder")
    assert got.path.name == "my-encoder.pth.tar"
    assert models.find("my-encoder").sha256 == got.sha256
    assert (models.list_models()[-1].name, models.list_models()[-1].installed) == ("my-encoder", True)


def test_a_browser_download_without_published_hash_is_identified_by_its_name(tmp_path: Path) -> None:
    got = models.import_file(wrong_file(tmp_path / "bytetrack_l_mot17.pth (1).tar"), "bytetrack-l-mot17")
    again = models.import_file(wrong_file(tmp_path / "bytetrack_m_mot17.pth(2).tar"))
    assert got.entry is CATALOGUE["bytetrack-l-mot17"]
    assert again.entry is CATALOGUE["bytetrack-m-mot17"]


def test_an_unknown_file_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="--name"):
        models.import_file(wrong_file(tmp_path / "stuff.pth"))


def test_a_file_with_a_published_name_and_another_hash_is_an_error(tmp_path: Path, store: Path) -> None:
    with pytest.raises(WeightsError, match="is not 'yolox-s-coco'"):
        models.import_file(wrong_file(tmp_path / "yolox_s.pth"))
    assert not (store / "yolox_s.pth").exists()


def test_a_name_cannot_be_used_for_two_files(tmp_path: Path) -> None:
    models.import_file(wrong_file(tmp_path / "a.pth"), "mine")
    (tmp_path / "b.pth").write_bytes(WEIGHTS)
    with pytest.raises(WeightsError, match="exists with other content"):
        models.import_file(tmp_path / "b.pth", "mine")


@pytest.mark.parametrize("name", ["../outside", "a b", ".hidden"])
def test_a_name_that_could_leave_the_folder_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not a valid model name"):
        models.import_file(wrong_file(tmp_path / "a.pth"), name)


def test_a_file_of_unknown_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="it must end in"):
        models.import_file(wrong_file(tmp_path / "net.xml"), "mine")


# --- hashes


def test_a_file_is_hashed_again_only_after_a_change(tmp_path: Path, store: Path) -> None:
    path = wrong_file(tmp_path / "a.pth")
    models.sha256_of(path)
    cache = store / "hashes.json"
    cache.write_text(
        json.dumps({key: [*value[:2], "cached"] for key, value in json.loads(cache.read_text()).items()})
    )
    assert models.sha256_of(path) == "cached"
    path.write_bytes(WEIGHTS)
    assert models.sha256_of(path) == SHA256


def test_a_damaged_hash_cache_is_replaced(tmp_path: Path, store: Path) -> None:
    wrong_file(store / "hashes.json")
    path = tmp_path / "a.pth"
    path.write_bytes(WEIGHTS)
    assert models.sha256_of(path) == SHA256


@pytest.mark.parametrize("name", ["mine", "small-kpr"])
def test_check_hashes_a_file_again_that_seems_unchanged(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "mine":
        (tmp_path / "a.pth").write_bytes(WEIGHTS)
        path = models.import_file(tmp_path / "a.pth", name).path
    else:
        monkeypatch.setattr(models, "CATALOGUE", {name: packed(package)})
        path = models.find(name).path
    times = path.stat()
    path.write_bytes(WEIGHTS[::-1])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert models.find(name).sha256 == SHA256
    with pytest.raises(WeightsError, match=r"is not|has changed"):
        models.check(name)


# --- in the package

SMALL = (
    "small-detector",
    "small-pose",
    "small-pose-accurate",
    "small-kpr",
    "small-detector-v1",
    "small-pose-v1",
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder instead of the package's weights."""
    monkeypatch.setattr(models, "PACKAGE_WEIGHTS", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def packed(package: Path, content: bytes = WEIGHTS) -> ModelEntry:
    """The entry of a model in the package."""
    (package / "small-kpr.safetensors").write_bytes(content)
    return replace(CATALOGUE["small-kpr"], sha256=SHA256)


def test_models_of_the_package_are_listed_first_with_their_licence(package: Path) -> None:
    packed(package)
    first = models.list_models()[: len(SMALL)]
    assert [(row.name, row.in_package) for row in first] == [(name, True) for name in SMALL]
    assert [row.name for row in first if row.installed] == ["small-kpr"]
    any_use = [row.name for row in first if row.licence == "Apache-2.0"]
    assert any_use == ["small-detector", "small-pose"]
    assert all(row.licence.startswith("research only: ") for row in first if row.name not in any_use)
    assert not any(row.in_package for row in models.list_models()[len(SMALL) :])


def test_models_of_the_package_are_not_downloaded(package: Path, store: Path) -> None:
    got = models.download(packed(package))
    assert (got.path, got.sha256) == (package / "small-kpr.safetensors", SHA256)
    assert got.trust == "part of the package, no download needed"
    assert contents(store) == ["hashes.json"]


def test_importing_a_model_of_the_package_makes_no_copy(
    package: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "CATALOGUE", {"small-kpr": packed(package)})
    (tmp_path / "copy.safetensors").write_bytes(WEIGHTS)
    assert models.import_file(tmp_path / "copy.safetensors").path.parent == package
    assert contents(store) == ["hashes.json"]


def test_missing_weights_of_the_package_are_an_error(package: Path) -> None:
    with pytest.raises(WeightsError, match=r"are part of every release.*--preset balanced") as caught:
        models.find("small-detector")
    assert "browser" not in str(caught.value)


def test_damaged_weights_of_the_package_are_an_error(package: Path) -> None:
    with pytest.raises(WeightsError, match="Install the package again"):
        models.download(packed(package, WEIGHTS[::-1]))


# --- catalogue


def test_names_and_files_of_the_catalogue_are_unique() -> None:
    assert len(CATALOGUE) == 75
    assert len({entry.file_name for entry in CATALOGUE.values()}) == 75


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("BSD-3-Clause", True),
        ("Apache-2.0", True),
        ("CC-BY-4.0", True),
        ("CC0-1.0", True),
        ("CC-BY-NC-4.0", False),
        ("CC-BY-SA-4.0", False),
        ("AGPL-3.0", False),
        ("MIT (the code's)", False),
        ("none stated", False),
        ("", False),
    ],
)
def test_a_licence_is_permissive_if_it_allows_any_use_of_the_weights(licence: str, permissive: bool) -> None:
    assert is_permissive(licence) is permissive


def test_every_hash_is_complete_or_the_8_digits_of_the_file_name() -> None:
    for entry in CATALOGUE.values():
        if entry.sha256 is not None:
            assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", entry.sha256)
            assert len(entry.sha256) == 64 or entry.sha256 in entry.file_name


def test_every_model_outside_the_package_has_a_page() -> None:
    assert [entry.name for entry in CATALOGUE.values() if not entry.page] == list(SMALL)


def test_every_link_is_https() -> None:
    links = [link for entry in CATALOGUE.values() for link in (entry.url, entry.page) if link]
    assert all(link.startswith("https://") for link in links)


def test_the_published_pipeline_is_in_the_catalogue() -> None:
    assert {kind: CATALOGUE[name].kind for kind, name in PUBLISHED_PIPELINE.items()} == {
        "detector": "detector",
        "pose": "pose",
        "reid": "reid",
    }


@pytest.mark.slow
def test_the_settings_of_every_entry_are_options_of_its_network() -> None:
    from kprtrack.detectors.yolox import YoloxConfig
    from kprtrack.detectors.yolox_onnx import YoloxOnnxConfig
    from kprtrack.poses.hrnet import HrnetConfig
    from kprtrack.poses.small import SmallPoseConfig
    from kprtrack.reid_encoders.kpr import KprEncoderConfig

    kinds = {
        "yolox": YoloxConfig,
        "yolox-onnx": YoloxOnnxConfig,
        "hrnet": HrnetConfig,
        "small": SmallPoseConfig,
        "kpr": KprEncoderConfig,
    }
    for entry in CATALOGUE.values():
        for key, value in entry.settings.items():
            network, _, option = key.partition(".")
            assert getattr(configure(kinds[network], {option: value}), option) == value
