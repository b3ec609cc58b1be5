"""Results and videos in an object store: a real server of the S3 protocol on this machine."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import fake_run
from support.many_cases import BY_BATCH, CONFIG, build

from kprtrack.core.errors import InputError, OutputError
from kprtrack.identity import prototypes_path
from kprtrack.run import track_video
from kprtrack.scale import ManySettings, Video
from kprtrack.scale.manifest import Manifest, Record
from kprtrack.scale.storage import RemoteFolder, expand_remote, is_remote, open_folder, version_of
from kprtrack.scale.tasks import Task
from kprtrack.scale.worker import NewWorker
from kprtrack.video.clip import Clip

OUT = "s3://tests/results"


def test_what_is_an_address_of_a_store() -> None:
    assert all(map(is_remote, ("s3://bucket/a.mp4", "gs://bucket", "az://bucket/a", "abfss://b@c/d")))
    assert not any(
        map(is_remote, ("s3.mp4", "s3:a", "http://host/a.mp4", "rtsp://camera", "a/b", 0, Path("a")))
    )


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("tests")
    yield "s3://tests"
    system.rm("tests", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def video(bucket: str, tmp_path: Path) -> Path:
    """A video on this machine that is also s3://tests/in/walk.mp4."""
    import s3fs

    local = fake_run.make_video(tmp_path / "walk.mp4", 61)
    s3fs.S3FileSystem().put_file(str(local), "tests/in/walk.mp4")
    return local


@pytest.mark.slow
def test_a_video_of_a_store_has_the_result_of_its_copy(video: Path, tmp_path: Path) -> None:
    (address,) = expand_remote("s3://tests/in/*.mp4")
    assert address == "s3://tests/in/walk.mp4" and expand_remote("s3://tests/in") == [address]
    assert version_of(address)[1] == video.stat().st_size
    track_video(Clip(video, path=address), tmp_path / "walk.json", CONFIG, networks=BY_BATCH)

    task = Task("track", Video("walk", Clip(address), "walk.json"))
    outcome = NewWorker(ManySettings(OUT, CONFIG), 1, build)(0)(task, lambda n: None)
    assert (outcome.error, outcome.frames, outcome.people) == (None, 61, 2)
    folder = open_folder(OUT)
    assert folder.names() == {"walk.json", "walk.tracks.safetensors"}
    assert folder.read("walk.json") == (tmp_path / "walk.json").read_bytes()
    prototypes = prototypes_path(tmp_path / "walk.json")
    assert folder.read(prototypes.name) == prototypes.read_bytes()


@pytest.mark.slow
def test_chunks_are_joined_in_a_store(video: Path) -> None:
    clip = Clip("s3://tests/in/walk.mp4")
    one = Video("walk", clip, "walk.json")
    work = NewWorker(ManySettings(OUT, CONFIG, split_s=3), 1, build)(0)
    chunks = work(Task("track", one), lambda n: None).chunks
    assert len(chunks) == 2
    for chunk in chunks:
        assert work(Task("observe", one, (chunk,)), lambda n: None).error is None
    assert work(Task("join", one, chunks), lambda n: None).frames == 61
    joined = open_folder(OUT).read("walk.json")
    assert work(Task("whole", one), lambda n: None).frames == 61
    assert open_folder(OUT).read("walk.json") == joined is not None


@pytest.mark.slow
def test_the_manifest_of_a_store_is_found_again(bucket: str) -> None:
    record = Record("a", None, "done", "1-2", "settings")
    for name in ("a", "b"):
        manifest = Manifest(RemoteFolder(OUT), "settings")
        manifest.add(replace(record, video=name))
        manifest.flush()
    again = Manifest(RemoteFolder(OUT), "settings")
    assert again.find("a", "1-2") and again.find("b", "1-2")


@pytest.mark.slow
def test_what_cannot_be_reached_is_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    work = NewWorker(ManySettings(OUT, CONFIG), 1, build)(0)
    gone = work(Task("track", Video("gone", Clip("s3://tests/gone.mp4"), "gone.json")), lambda n: None)
    assert (gone.error, gone.exit_code) == ("Cannot read s3://tests/gone.mp4: it does not exist.", 3)
    with pytest.raises(InputError, match=r"^There is no video at s3://tests/none/\*\.mp4\.$"):
        expand_remote("s3://tests/none/*.mp4")
    with pytest.raises(OutputError, match=r"^Cannot write s3://no-such-bucket/out/a: [^\n]*bucket[^\n]*$"):
        open_folder("s3://no-such-bucket/out").write("a", b"a")
    assert not s3fs.S3FileSystem().exists("no-such-bucket")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises((InputError, OutputError), match=r"^Cannot [^\n]*s3://tests/results[^\n]*$"):
        open_folder(OUT).write("a", b"a")
