"""The model store finds, fetches, checks and imports weights, and says what to do when it cannot."""

import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kprtrack.config import configure
from kprtrack.core.errors import OutputError, UserError, WeightsError
from kprtrack.hub import store as models
from kprtrack.hub.cache import alone
from kprtrack.hub.catalog import CATALOGUE, PUBLISHED_PIPELINE, ModelEntry

WEIGHTS = bytes(range(256)) * 2000  # 512,000 bytes
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@dataclass
class Site:
    """How the web server on this machine behaves, and what it was asked."""

    body: bytes = WEIGHTS
    content_type: str = "application/octet-stream"
    ranges: bool = True
    etag: str = '"v1"'
    cut_at: list[int] = field(default_factory=list)  # answer n stops after so many bytes
    redirect: str = ""
    status: int = 200
    asked: list[str | None] = field(default_factory=list)  # the Range header of every request
    port: int = 0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        wanted = self.headers.get("Range")
        site.asked.append(wanted)
        if site.redirect:
            self.send_response(302)
            self.send_header("Location", site.redirect)
            self.end_headers()
            return
        if site.status != 200:
            self.send_error(site.status)
            return
        start = 0
        same = self.headers.get("If-Range", site.etag) == site.etag  # without it, any version is continued
        if wanted and site.ranges and same:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1))
            if start >= len(site.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.body)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(site.body) - 1}/{len(site.body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", site.content_type)
        self.send_header("Content-Length", str(len(site.body) - start))
        if site.etag:
            self.send_header("ETag", site.etag)
        self.end_headers()
        stop = site.cut_at.pop(0) if site.cut_at else len(site.body)
        self.wfile.write(site.body[start:stop])

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.site = Site(port=server.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def entry_at(site: Site, **changes: object) -> ModelEntry:
    """A catalogue entry whose file lies on the local web server."""
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


def fetch(entry: ModelEntry) -> models.ModelFile:
    return models.download(entry, allow_localhost=True)


def leave_part(store: Path, content: bytes, version: str = '"v1"') -> None:
    """What an interrupted download leaves behind."""
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


def test_a_download_ends_as_one_checked_file_under_its_final_name(site: Site, store: Path) -> None:
    got = fetch(entry_at(site))
    assert got.path.read_bytes() == WEIGHTS
    assert got.sha256 == SHA256
    assert contents(store) == ["hashes.json", "tiny.pth", "tiny.pth.json"]


def test_a_second_get_asks_nobody(site: Site) -> None:
    fetch(entry_at(site))
    fetch(entry_at(site))
    assert len(site.asked) == 1


def test_progress_ends_at_the_full_size(site: Site) -> None:
    seen: list[tuple[int, int | None]] = []
    models.download(
        entry_at(site), progress=lambda done, total: seen.append((done, total)), allow_localhost=True
    )
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS))


def test_an_interrupted_download_goes_on_where_it_stopped(site: Site, store: Path) -> None:
    leave_part(store, WEIGHTS[:300_000])
    assert fetch(entry_at(site)).path.read_bytes() == WEIGHTS
    assert site.asked == ["bytes=300000-"]


def test_a_transfer_that_breaks_off_is_taken_up_again_by_itself(site: Site) -> None:
    site.cut_at = [200_000, 400_000]
    assert fetch(entry_at(site)).path.read_bytes() == WEIGHTS
    assert site.asked == [None, "bytes=200000-", "bytes=400000-"]


def test_a_server_that_always_breaks_off_gives_an_error_and_keeps_the_part(site: Site, store: Path) -> None:
    site.cut_at = [1000] * 9
    with pytest.raises(WeightsError, match="broke off after 1,000 bytes; the same command goes on"):
        fetch(entry_at(site))
    assert site.asked == [None, "bytes=1000-"]
    assert (store / "tiny.pth.part").stat().st_size == 1000
    assert not (store / "tiny.pth").exists()


def test_a_server_without_ranges_sends_all_again(site: Site, store: Path) -> None:
    site.ranges = False
    leave_part(store, WEIGHTS[:300_000])
    assert fetch(entry_at(site)).path.read_bytes() == WEIGHTS


def test_the_part_of_an_older_version_is_thrown_away(site: Site, store: Path) -> None:
    leave_part(store, b"x" * 300_000, version='"v0"')
    assert fetch(entry_at(site, sha256=None)).path.read_bytes() == WEIGHTS


def test_a_part_of_unknown_version_is_thrown_away(site: Site, store: Path) -> None:
    leave_part(store, b"x" * 300_000, version="")
    assert fetch(entry_at(site, sha256=None)).path.read_bytes() == WEIGHTS
    assert site.asked == [None]


def test_a_weak_tag_never_resumes(site: Site, store: Path) -> None:
    site.etag = 'W/"v1"'
    site.cut_at = [200_000]
    assert fetch(entry_at(site)).path.read_bytes() == WEIGHTS
    assert site.asked == [None, None]


def test_a_complete_part_is_only_checked_and_renamed(site: Site, store: Path) -> None:
    leave_part(store, WEIGHTS)
    assert fetch(entry_at(site)).sha256 == SHA256


def test_a_part_longer_than_the_file_is_thrown_away(site: Site, store: Path) -> None:
    leave_part(store, WEIGHTS + b"more")
    assert fetch(entry_at(site)).path.read_bytes() == WEIGHTS


def test_a_download_with_another_hash_is_put_aside(site: Site, store: Path) -> None:
    site.body = WEIGHTS[:-1] + b"!"
    with pytest.raises(WeightsError, match=f"expected {SHA256}"):
        fetch(entry_at(site))
    assert not (store / "tiny.pth").exists()
    assert (store / "tiny.pth.rejected").exists()


def test_a_mismatch_admits_that_the_hash_may_be_wrong_if_a_mirror_gave_it(site: Site) -> None:
    with pytest.raises(WeightsError, match="comes from a mirror and may itself be wrong"):
        fetch(entry_at(site, sha256="0" * 64, sha256_from="mirror"))


def test_another_size_is_refused_before_anything_is_stored(site: Site, store: Path) -> None:
    with pytest.raises(WeightsError, match="offers 512,000 bytes, expected 7"):
        fetch(entry_at(site, size_bytes=7))
    assert contents(store) == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=utf-8", b"Quota exceeded"),
        ("application/octet-stream", b"\n<!DOCTYPE html><title>Virus scan warning</title>"),
    ],
)
def test_a_web_page_in_place_of_the_file_sends_the_user_to_the_browser(
    site: Site, content_type: str, body: bytes
) -> None:
    site.body, site.content_type = body, content_type
    with pytest.raises(WeightsError, match=r"web page instead of the file.*kprtrack models import tiny.pth"):
        fetch(entry_at(site, size_bytes=None, sha256=None))


def test_without_internet_the_error_names_link_and_import(site: Site) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    with pytest.raises(WeightsError, match=r"Cannot reach 127.0.0.1.*Open http.*models import tiny.pth"):
        fetch(entry_at(site, url=f"http://127.0.0.1:{closed}/tiny.pth"))


def test_a_missing_file_on_the_server_names_its_answer(site: Site) -> None:
    site.status = 404
    with pytest.raises(WeightsError, match="answered 404"):
        fetch(entry_at(site))


def test_two_processes_do_not_fetch_the_same_file_at_once(site: Site, store: Path) -> None:
    store.mkdir(parents=True)
    with alone(store / "tiny.pth"), pytest.raises(WeightsError, match="Another process"):
        fetch(entry_at(site))
    assert fetch(entry_at(site)).sha256 == SHA256


@pytest.mark.parametrize("url", ["http://example.org/a.pth", "file:///etc/hostname", "ftp://127.0.0.1/a.pth"])
def test_only_https_is_downloaded(site: Site, url: str) -> None:
    with pytest.raises(WeightsError, match="only https"):
        fetch(entry_at(site, url=url))


def test_localhost_needs_leave(site: Site) -> None:
    with pytest.raises(WeightsError, match="only https"):
        models.download(entry_at(site))


def test_a_redirect_to_a_plain_connection_is_refused(site: Site) -> None:
    site.redirect = "http://example.org/tiny.pth"
    with pytest.raises(WeightsError, match=r"Refused to download http://example.org/tiny.pth"):
        fetch(entry_at(site))


def test_a_file_behind_no_link_is_asked_for_by_browser() -> None:
    with pytest.raises(WeightsError, match=r"no direct link. Open https://drive.google.com/drive/folders"):
        models.get("kpr-market-solider")


def test_a_store_that_cannot_be_made_is_an_output_error(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPRTRACK_HOME", str(wrong_file(tmp_path / "a_file")))
    with pytest.raises(OutputError, match="KPRTRACK_HOME"):
        fetch(entry_at(site))


def test_a_drive_file_is_asked_for_on_its_page_not_its_direct_link() -> None:
    with pytest.raises(
        WeightsError, match=r"Open https://drive.google.com/file/d/1P4mY0Yyd3PPTybgZkjMYhFri88nTmJX5/"
    ):
        models.find("bytetrack-x-mot17")


def test_a_store_that_cannot_be_written_is_an_output_error(site: Site, store: Path) -> None:
    (store / ".tiny.pth.lock").mkdir(parents=True)  # stands for a folder without write permission
    with pytest.raises(OutputError, match="Cannot write to"):
        fetch(entry_at(site))


# --- trust on first use


def test_a_file_without_a_published_hash_is_never_called_verified(site: Site) -> None:
    got = fetch(entry_at(site, sha256=None))
    assert got.sha256 == SHA256
    assert got.trust.startswith("unverified")


def test_a_hash_prefix_is_called_a_prefix(site: Site) -> None:
    assert (
        fetch(entry_at(site, sha256=SHA256[:8])).trust
        == "matches the first 8 digits of the sha256 from the publisher"
    )


def test_a_file_without_a_published_hash_must_stay_as_first_seen(site: Site) -> None:
    entry = entry_at(site, sha256=None)
    wrong_file(fetch(entry).path)
    with pytest.raises(WeightsError, match="not the file first seen"):
        fetch(entry)


def test_a_removed_file_must_come_back_as_first_seen(site: Site) -> None:
    entry = entry_at(site, sha256=None)
    fetch(entry).path.unlink()
    site.body = WEIGHTS[::-1]
    with pytest.raises(WeightsError, match="not the file first seen"):
        fetch(entry)


def test_a_published_file_that_was_damaged_later_is_refused(store: Path) -> None:
    wrong_file(store / CATALOGUE["yolox-nano-coco"].file_name)
    with pytest.raises(WeightsError, match="is not 'yolox-nano-coco'"):
        models.find("yolox-nano-coco")


# --- find


def test_missing_weights_say_how_to_get_them_with_and_without_internet(store: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        models.find("yolox-x-coco")
    text = str(caught.value)
    assert "yolox_x.pth, 793 MB, licence Apache-2.0" in text
    assert "kprtrack models get yolox-x-coco" in text
    assert "kprtrack models import yolox_x.pth" in text
    assert str(store) in text


def test_missing_weights_behind_no_link_do_not_promise_a_download() -> None:
    with pytest.raises(WeightsError) as caught:
        models.find("kpr-occ-duke-solider")
    assert "models get" not in str(caught.value)


def test_find_never_goes_online(monkeypatch: pytest.MonkeyPatch) -> None:
    def reject(*_: object) -> None:
        raise AssertionError("opened a connection")

    monkeypatch.setattr(socket.socket, "connect", reject)
    with pytest.raises(WeightsError):
        models.find("yolox-x-coco")


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    with pytest.raises(WeightsError, match="Did you mean 'yolox-x-coco'"):
        models.find("yoloxx-coco")


def test_a_wrong_path_is_called_a_path() -> None:
    with pytest.raises(WeightsError, match=r"No file of weights at .*mine.pth"):
        models.find("mine.pth")


def test_a_path_wins_and_needs_no_catalogue(tmp_path: Path) -> None:
    path = wrong_file(tmp_path / "mine.pth")
    got = models.find(path)
    assert (got.path, got.entry, got.trust) == (path, None, "your own file")


def test_a_bytetrack_file_given_by_path_brings_its_settings(tmp_path: Path) -> None:
    entry = models.find(wrong_file(tmp_path / "bytetrack_x_mot17.pth.tar")).entry
    assert entry is not None
    assert entry.settings["yolox.preprocess"] == "legacy"


def test_the_name_alone_never_makes_a_file_a_hashed_one(tmp_path: Path) -> None:
    assert models.find(wrong_file(tmp_path / "yolox_x.pth")).entry is None


# --- import


def test_an_imported_file_is_found_by_its_new_name(tmp_path: Path) -> None:
    got = models.import_file(wrong_file(tmp_path / "Best (1).pth.tar"), "my-encoder")
    assert got.path.name == "my-encoder.pth.tar"
    assert models.find("my-encoder").sha256 == got.sha256
    assert (models.list_models()[-1].name, models.list_models()[-1].installed) == ("my-encoder", True)


def test_a_browser_download_of_an_unhashed_file_is_recognised_by_its_name(tmp_path: Path) -> None:
    got = models.import_file(wrong_file(tmp_path / "bytetrack_l_mot17.pth (1).tar"), "bytetrack-l-mot17")
    again = models.import_file(wrong_file(tmp_path / "bytetrack_m_mot17.pth(2).tar"))
    assert got.entry is CATALOGUE["bytetrack-l-mot17"]
    assert again.entry is CATALOGUE["bytetrack-m-mot17"]


def test_an_unknown_file_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="--name"):
        models.import_file(wrong_file(tmp_path / "stuff.pth"))


def test_a_file_with_a_published_name_and_another_hash_is_refused(tmp_path: Path, store: Path) -> None:
    with pytest.raises(WeightsError, match="is not 'yolox-s-coco'"):
        models.import_file(wrong_file(tmp_path / "yolox_s.pth"))
    assert not (store / "yolox_s.pth").exists()


def test_an_own_name_is_not_given_twice(tmp_path: Path) -> None:
    models.import_file(wrong_file(tmp_path / "a.pth"), "mine")
    (tmp_path / "b.pth").write_bytes(WEIGHTS)
    with pytest.raises(WeightsError, match="exists with other content"):
        models.import_file(tmp_path / "b.pth", "mine")


@pytest.mark.parametrize("name", ["../outside", "a b", ".hidden"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot name a model"):
        models.import_file(wrong_file(tmp_path / "a.pth"), name)


def test_a_kind_of_file_the_store_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="known kinds"):
        models.import_file(wrong_file(tmp_path / "net.xml"), "mine")


# --- hashes


def test_a_file_is_hashed_again_only_after_a_change(tmp_path: Path, store: Path) -> None:
    path = wrong_file(tmp_path / "a.pth")
    models.sha256_of(path)
    memory = store / "hashes.json"
    memory.write_text(
        json.dumps({key: [*value[:2], "remembered"] for key, value in json.loads(memory.read_text()).items()})
    )
    assert models.sha256_of(path) == "remembered"
    path.write_bytes(WEIGHTS)
    assert models.sha256_of(path) == SHA256


def test_a_damaged_memory_of_hashes_only_costs_time(tmp_path: Path, store: Path) -> None:
    wrong_file(store / "hashes.json")
    path = tmp_path / "a.pth"
    path.write_bytes(WEIGHTS)
    assert models.sha256_of(path) == SHA256


@pytest.mark.parametrize("name", ["mine", "small-kpr"])
def test_a_check_reads_a_file_again_that_seems_unchanged(
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
    with pytest.raises(WeightsError, match="is not"):
        models.check(name)


# --- in the package

SMALL = ("small-detector", "small-pose", "small-kpr")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the package's weights."""
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def packed(package: Path, content: bytes = WEIGHTS) -> ModelEntry:
    """The entry of a model that lies in the package."""
    (package / "small-kpr.safetensors").write_bytes(content)
    return replace(CATALOGUE["small-kpr"], sha256=SHA256)


def test_what_is_in_the_package_is_listed_first_with_its_limits(package: Path) -> None:
    packed(package)
    first = models.list_models()[:3]
    assert [(row.name, row.in_package) for row in first] == [(name, True) for name in SMALL]
    assert [row.installed for row in first] == [False, False, True]
    assert all(row.licence.startswith("research only: ") for row in first)
    assert not any(row.in_package for row in models.list_models()[3:])


def test_getting_what_is_in_the_package_downloads_nothing(package: Path, store: Path) -> None:
    got = models.download(packed(package))
    assert (got.path, got.sha256) == (package / "small-kpr.safetensors", SHA256)
    assert got.trust == "comes with the package, nothing to download"
    assert contents(store) == ["hashes.json"]


def test_importing_what_is_in_the_package_makes_no_copy(
    package: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "CATALOGUE", {"small-kpr": packed(package)})
    (tmp_path / "copy.safetensors").write_bytes(WEIGHTS)
    assert models.import_file(tmp_path / "copy.safetensors").path.parent == package
    assert contents(store) == ["hashes.json"]


def test_a_package_without_its_weights_is_told_to_be_incomplete(package: Path) -> None:
    with pytest.raises(WeightsError, match=r"come with every release.*--preset balanced") as caught:
        models.find("small-detector")
    assert "browser" not in str(caught.value)


def test_damaged_weights_of_the_package_are_refused(package: Path) -> None:
    with pytest.raises(WeightsError, match="Install the package again"):
        models.download(packed(package, WEIGHTS[::-1]))


# --- catalogue


def test_names_and_files_of_the_catalogue_are_unique() -> None:
    assert len(CATALOGUE) == 52
    assert len({entry.file_name for entry in CATALOGUE.values()}) == 52


def test_every_hash_is_whole_or_the_8_digits_of_the_file_name() -> None:
    for entry in CATALOGUE.values():
        if entry.sha256 is not None:
            assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", entry.sha256)
            assert len(entry.sha256) == 64 or entry.sha256 in entry.file_name


def test_all_but_what_is_in_the_package_can_be_fetched_from_somewhere() -> None:
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
    from kprtrack.poses.hrnet import HrnetConfig
    from kprtrack.reid_encoders.kpr import KprEncoderConfig

    kinds = {"yolox": YoloxConfig, "hrnet": HrnetConfig, "kpr": KprEncoderConfig}
    for entry in CATALOGUE.values():
        for key, value in entry.settings.items():
            network, _, option = key.partition(".")
            assert getattr(configure(kinds[network], {option: value}), option) == value
