"""Weights that are published in a zip archive: one file is taken out, whatever else is in it."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.web import Site, local_site

from kprtrack.core.errors import WeightsError
from kprtrack.hub import store as models
from kprtrack.hub.archive import extract_member
from kprtrack.hub.catalog import CATALOGUE
from kprtrack.hub.entry import ModelEntry

WEIGHTS = bytes(range(256)) * 2000  # 512,000 bytes
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
site = pytest.fixture(local_site)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KPRTRACK_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def sdk(weights: bytes = WEIGHTS) -> bytes:
    """An archive as OpenMMLab's."""
    return zipped({"20230831/net/deploy.json": b"{}", "20230831/net/end2end.onnx": weights})


def entry(**changes: object) -> ModelEntry:
    plain = ModelEntry(
        name="tiny",
        kind="pose",
        architecture="rtmpose",
        file_name="tiny.onnx",
        page="https://example.org/tiny",
        licence="Apache-2.0",
        score="none",
        url="https://example.org/net.zip",
        size_bytes=len(WEIGHTS),
        sha256=SHA256,
        member="end2end.onnx",
    )
    return replace(plain, **changes)


def entry_at(site: Site, **changes: object) -> ModelEntry:
    return entry(url=f"http://127.0.0.1:{site.port}/net.zip", **changes)


def contents(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir() if not path.name.startswith("."))


def test_a_download_stores_the_verified_member_alone(site: Site, store: Path) -> None:
    site.body = sdk()
    got = models.download(entry_at(site), allow_localhost=True)
    assert got.path == store / "tiny.onnx"
    assert got.path.read_bytes() == WEIGHTS
    assert got.sha256 == SHA256
    assert contents(store) == ["hashes.json", "tiny.onnx", "tiny.onnx.json"]


def test_an_interrupted_archive_is_resumed(site: Site) -> None:
    site.body = sdk()
    site.cut_at = [len(site.body) // 2]
    assert models.download(entry_at(site), allow_localhost=True).sha256 == SHA256
    assert site.requested_ranges == [None, f"bytes={len(site.body) // 2}-"]


def test_a_member_without_a_published_hash_must_be_the_same_again(site: Site) -> None:
    site.body = sdk()
    unknown = entry_at(site, sha256=None, size_bytes=None)
    got = models.download(unknown, allow_localhost=True)
    assert got.trust.startswith("unverified")
    got.path.unlink()
    site.body = sdk(WEIGHTS[::-1])
    with pytest.raises(WeightsError, match="has changed"):
        models.download(unknown, allow_localhost=True)


def test_a_member_with_another_hash_is_kept_as_rejected(site: Site, store: Path) -> None:
    site.body = sdk(WEIGHTS[::-1])
    with pytest.raises(WeightsError, match=f"expected {SHA256}"):
        models.download(entry_at(site), allow_localhost=True)
    assert (store / "tiny.onnx.rejected").exists()
    assert not (store / "tiny.onnx").exists()


def test_after_a_damaged_archive_the_next_download_starts_again(site: Site, store: Path) -> None:
    site.body = sdk()[:-100]
    with pytest.raises(WeightsError, match="no zip archive, cut short or damaged"):
        models.download(entry_at(site), allow_localhost=True)
    assert contents(store) == []
    site.body = sdk()
    assert models.download(entry_at(site), allow_localhost=True).sha256 == SHA256


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no archive", "no zip archive"),
        (zipped({"model.onnx": WEIGHTS}), "holds 1 files, 0 of them named end2end.onnx"),
        (zipped({"a/end2end.onnx": WEIGHTS, "b/end2end.onnx": WEIGHTS}), "holds 2 files, 2 of them"),
        (zipped({"end2end.onnx": WEIGHTS + b"x"}), "has 512,001 bytes, expected 512,000"),
        (zipped({"end2end.onnx": WEIGHTS}, zipfile.ZIP_BZIP2), "another method than Deflate"),
        (zipped({"end2end.onnx": WEIGHTS}, zipfile.ZIP_STORED).replace(b"\x10\x11", b"\x10\x12"), "damaged"),
    ],
)
def test_another_archive_is_an_error_of_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "net.zip").write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        extract_member(tmp_path / "net.zip", entry(), tmp_path / "net.onnx")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "net.onnx").exists()


def test_a_member_larger_than_any_model_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kprtrack.hub.archive.MOST_BYTES", 1_000_000)
    (tmp_path / "net.zip").write_bytes(zipped({"end2end.onnx": bytes(1_000_001)}))
    with pytest.raises(WeightsError, match="has 1,000,001 bytes, expected at most 1,000,000"):
        extract_member(tmp_path / "net.zip", entry(size_bytes=None), tmp_path / "net.onnx")


def test_no_path_of_the_archive_is_used(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "net.zip").write_bytes(zipped({"../../end2end.onnx": WEIGHTS}))
    extract_member(tmp_path / "net.zip", entry(), tmp_path / "in" / "net.onnx")
    assert [path.name for path in sorted(tmp_path.rglob("*.onnx"))] == ["net.onnx"]


@pytest.mark.parametrize("name", ["tiny", None])
def test_an_archive_that_a_browser_saved_is_imported(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr(models, "CATALOGUE", {"tiny": entry()})
    (tmp_path / "net.zip").write_bytes(sdk())
    got = models.import_file(tmp_path / "net.zip", name)
    assert (got.path, got.sha256) == (store / "tiny.onnx", SHA256)
    assert models.import_file(tmp_path / "net.zip", name).path == got.path  # again: it is there


def test_the_advice_for_an_archive_names_the_file_that_the_browser_saves() -> None:
    with pytest.raises(
        WeightsError, match=r"save rtmpose-t_\S+\.zip, then: kprtrack models import rtmpose-t_\S+\.zip"
    ):
        models.find("rtmpose-t-body7")


def test_an_archive_of_no_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(sdk())
    with pytest.raises(WeightsError, match="Unpack it and import the file in it"):
        models.import_file(tmp_path / "mine.zip", "mine")


def test_members_of_archives_are_onnx_files() -> None:
    packed = [one for one in CATALOGUE.values() if one.member]
    assert packed
    for one in packed:
        assert one.url is not None
        assert one.url.endswith(".zip")
        assert one.member == "end2end.onnx"
        assert one.file_name.endswith(".onnx")
