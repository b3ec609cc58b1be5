"""The server of the page: whom it answers, what it returns of the result, and what it writes."""

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.numbered import HEIGHT, WIDTH, number_of
from support.review_cases import FRAMES, TICKS, make_result, make_video, serve

from kprtrack.cli.main import main
from kprtrack.edits import Edits
from kprtrack.io import read_tracks, write_tracks

pytest.importorskip("starlette", reason="needs the extra review")
httpx = pytest.importorskip("httpx2", reason="needs httpx2")

from starlette.testclient import TestClient  # noqa: E402

from kprtrack.review.app import ReviewApp  # noqa: E402
from kprtrack.review.session import ReviewSession  # noqa: E402
from kprtrack.video.stills import FrameReader  # noqa: E402

TOKEN, PORT = "a-token", 8123
HOST = f"http://127.0.0.1:{PORT}"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
OPEN = ("/", "/main.js", "/api.js", "/player.js", "/timeline.js", "/style.css", "/icon.svg")
READ = (
    "/api/result",
    "/api/clock",
    "/api/summary",
    "/api/version",
    "/api/moments",
    "/api/boxes?first=0&count=3",
    "/api/frame?index=3",
    "/api/thumbnail?track=2",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    make_video(folder / "video.mp4")
    make_result(folder / "tracks.json")
    return folder


@pytest.fixture
def edits(tmp_path: Path) -> Path:
    return tmp_path / "tracks.edits.jsonl"


@pytest.fixture
def client(made: Path, edits: Path) -> Iterator[TestClient]:
    session = ReviewSession(read_tracks(made / "tracks.json"), edits)
    with FrameReader(made / "video.mp4") as video, FrameReader(made / "video.mp4") as thumbnails:
        app = ReviewApp(session, video, thumbnails).guarded(TOKEN, PORT)
        yield TestClient(app, base_url=HOST, headers=AUTHORIZED, raise_server_exceptions=True)


def _add(client: TestClient, text: str) -> dict[str, object]:
    version = client.get("/api/version").json()["version"]
    answer = client.post("/api/edits", json={"text": text, "version": version})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


@pytest.mark.parametrize("path", [*OPEN, *READ])
def test_the_page_is_answered(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize(
    "given", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
def test_without_the_token_nothing_of_the_result_is_answered(
    client: TestClient, path: str, given: str | None
) -> None:
    client.headers.pop("Authorization")
    headers = [] if given is None else [(b"authorization", given.encode("latin-1"))]
    assert client.get(path, headers=headers).status_code == 401


@pytest.mark.parametrize("path", ["/", "/main.js", "/api/summary"])
@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "0.0.0.0:8123"]
)
def test_other_hosts_are_not_served(client: TestClient, path: str, host: str) -> None:
    assert client.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9", f"https://127.0.0.1:{PORT}"]
)
def test_other_origins_are_not_answered(client: TestClient, edits: Path, origin: str) -> None:
    data = {"text": "delete 2", "version": client.get("/api/version").json()["version"]}
    assert client.post("/api/edits", json=data, headers={"Origin": origin}).status_code == 403
    assert client.get("/api/summary", headers={"Origin": origin}).status_code == 403
    assert client.get("/api/summary", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert not edits.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/frame/",
        "/static/main.js",
        "/../edits",
        "/%2e%2e/tracks.json",
        "/tracks.json",
        "/api/frame//",
        "/docs",
    ],
)
def test_other_paths_do_not_exist(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "There is no such path."})


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/summary"), ("GET", "/api/edits"), ("PUT", "/"), ("DELETE", "/api/edits")],
)
def test_other_methods_are_not_allowed(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 405


@pytest.mark.parametrize(
    "query",
    [
        "/api/boxes",
        "/api/boxes?first=-1&count=3",
        "/api/boxes?first=1e3&count=3",
        "/api/frame?index=48",
        "/api/frame?index=x",
        "/api/frame?index=1&width=99999999",
        "/api/frame?index=99999999999999999999999",
        "/api/thumbnail?track=77",
        "/api/thumbnail?track=../../x",
    ],
)
def test_a_wrong_query_is_one_line(client: TestClient, query: str) -> None:
    answer = client.get(query)
    assert answer.status_code == 400
    assert answer.json()["error"] and "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'"delete 2"',
        b'{"text": "delete 2"}',
        b'{"text": "delete 2", "version": 0}',
        b'{"text": ["delete 2"], "version": "0.0"}',
        b'{"text": "delete 2\\ndelete 1", "version": "0.0"}',
        b'{"text": "delete 2", "version": "0.0", "path": "/etc/passwd"}',
        b'{"text": "remove 2", "version": "0.0"}',
        b'{"text": "delete 9", "version": "0.0"}',
        b'{"text": "1 = 2", "version": "0.0"}',
        b'{"text": "name 1 \\u202e", "version": "0.0"}',
        b'{"text": "undo", "version": "0.0"}',
        b"[" * 4000,
        b" " * 5000,
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("path", ["/api/edits", "/api/preview"])
def test_a_malformed_edit_is_one_line_and_writes_nothing(
    client: TestClient, edits: Path, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"] and "\n" not in answer.json()["error"]
    assert not edits.exists()


def test_an_edit_must_be_json(client: TestClient, edits: Path) -> None:
    body = b'{"text": "delete 2", "version": "0.0"}'
    assert client.post("/api/edits", content=body, headers={"Content-Type": "text/plain"}).status_code == 400
    assert not edits.exists()


def test_frames_are_exact_at_a_variable_frame_rate(client: TestClient) -> None:
    order = [*range(5), 40, 7, 23, 24, 26, *range(47, 42, -1), 0, 13]
    for index in order:
        image = cv2.imdecode(np.frombuffer(client.get(f"/api/frame?index={index}").content, np.uint8), 1)
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert number_of(image[..., ::-1]) == index
    both = np.frombuffer(client.get("/api/clock").content, "<f8")
    assert both[:FRAMES] == pytest.approx(np.array(TICKS) / 100)
    assert both[FRAMES:].tolist() == list(range(FRAMES))


def test_frames_are_scaled_down_and_never_up(client: TestClient) -> None:
    for width, shown in ((96, 96), (1000, WIDTH)):
        data = client.get(f"/api/frame?index=2&width={width}").content
        assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape[1] == shown


def test_the_summary_has_the_spans_of_all_tracks(client: TestClient) -> None:
    tracks = {each["id"]: each for each in client.get("/api/summary").json()["tracks"]}
    assert {track_id: each["spans"] for track_id, each in tracks.items()} == {
        1: [0, 19],
        2: [0, 47],
        3: [26, 47],
    }


def test_boxes_are_those_of_the_result(client: TestClient, made: Path) -> None:
    frames = client.get("/api/boxes?first=24&count=4").json()["frames"]
    for shown, tracks in zip(frames, read_tracks(made / "tracks.json").frames[24:28], strict=True):
        assert [person[0] for person in shown] == tracks.ids.tolist()
        assert np.array([person[2] for person in shown]) == pytest.approx(tracks.boxes, abs=0.051)
        assert len(shown[0][3]) == 2 * 17


def test_edits_are_in_the_file_when_they_are_acknowledged_and_replay_to_the_same(
    client: TestClient, made: Path, edits: Path
) -> None:
    for count, text in enumerate(("3 = 1", "name 1 Anna", "split 2 at frame 30", "delete 4"), start=1):
        _add(client, text)
        assert len(edits.read_text("utf-8").splitlines()) == count
    shown = {each["id"]: each for each in client.get("/api/summary").json()["tracks"]}
    assert {track_id: each["spans"] for track_id, each in shown.items()} == {1: [0, 19, 26, 47], 2: [0, 29]}
    assert shown[1]["name"] == "Anna"
    replayed = Edits.read(edits).apply(read_tracks(made / "tracks.json")).tracks
    seen = {
        track_id: [n for n, each in enumerate(replayed.frames) if track_id in each.ids] for track_id in (1, 2)
    }
    assert seen == {1: [*range(20), *range(26, 48)], 2: list(range(30))}


def test_undo_restores_the_tracks(client: TestClient) -> None:
    before = client.get("/api/summary").json()["tracks"]
    _add(client, "3 = 1")
    after = _add(client, "undo")
    assert after["tracks"] == before
    assert [edit["status"] for edit in after["edits"]] == ["undone"]  # type: ignore[attr-defined]


def test_a_preview_writes_nothing(client: TestClient, edits: Path) -> None:
    version = client.get("/api/version").json()["version"]
    answer = client.post("/api/preview", json={"text": "3 = 1", "version": version})
    assert "become track 1" in answer.json()["details"]
    assert not edits.exists()


def test_an_edit_for_tracks_that_another_window_has_changed_is_a_conflict(
    client: TestClient, edits: Path
) -> None:
    old = client.get("/api/version").json()["version"]
    _add(client, "delete 2")
    written = edits.read_bytes()
    assert client.post("/api/edits", json={"text": "3 = 1", "version": old}).status_code == 409
    assert edits.read_bytes() == written


def test_edits_of_other_programs_are_shown(client: TestClient, made: Path, edits: Path) -> None:
    before = client.get("/api/version").json()["version"]
    Edits(edits).append(read_tracks(made / "tracks.json"), "name 2 Ben")
    assert client.get("/api/version").json()["version"] != before
    assert "Ben" in client.get("/api/summary").text


def test_a_damaged_edits_file_is_one_line(client: TestClient, edits: Path) -> None:
    _add(client, "delete 2")
    edits.write_bytes(b"no json\n")
    answer = client.get("/api/summary")
    assert answer.status_code == 400
    assert "line 1" in answer.json()["error"] and "\n" not in answer.json()["error"]


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_is_killed_while_it_writes(made: Path) -> None:
    path = made / "tracks.edits.jsonl"
    path.unlink(missing_ok=True)
    process, address = serve(made)
    base, _, token = address.partition("/#")
    acknowledged: list[str] = []
    enough = threading.Event()

    def write_until_it_ends() -> None:
        with httpx.Client(
            base_url=base, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        ) as client:
            try:
                for number in itertools.count():
                    data = {
                        "text": f"name 2 P{number}",
                        "version": client.get("/api/version").json()["version"],
                    }
                    if client.post("/api/edits", json=data).status_code == 200:
                        acknowledged.append(data["text"])
                    if len(acknowledged) >= 5:
                        enough.set()
            except httpx.HTTPError:  # killed
                enough.set()

    writer = threading.Thread(target=write_until_it_ends)
    writer.start()
    enough.wait()
    process.kill()
    process.communicate()
    writer.join()
    assert len(acknowledged) >= 5
    stored = [edit.text for edit in Edits.read(path).edits]
    assert stored[: len(acknowledged)] == acknowledged
    assert len(stored) <= len(acknowledged) + 1  # one that was written, but not yet acknowledged


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "70000"], "--port 70000"),
        (["--edits", "tracks.json"], "is the result"),
    ],
)
def test_a_wrong_option_is_one_line(
    made: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(made)
    assert main(["review", "tracks.json", "video.mp4", "--no-browser", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_port_that_is_in_use_is_one_line(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = str(used.getsockname()[1])
        files = [str(made / "tracks.json"), str(made / "video.mp4")]
        assert main(["review", *files, "--no-browser", "--port", port]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kprtrack: Port {port} cannot be used") and error.count("\n") == 1


def test_a_video_of_another_size_is_one_line(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks = read_tracks(made / "tracks.json")
    header = replace(tracks.header, video={"width": 640, "height": 480})
    write_tracks(replace(tracks, header=header), tmp_path / "tracks.json")
    assert main(["review", str(tmp_path / "tracks.json"), str(made / "video.mp4"), "--no-browser"]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_stream_cannot_be_reviewed(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", str(made / "tracks.json"), "rtsp://127.0.0.1/x", "--no-browser"]) == 2
    assert "only once" in capsys.readouterr().err


def test_the_page_is_small_and_names_no_other_address() -> None:
    from kprtrack.review.app import STATIC

    files = [file for file in STATIC.iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 300_000
    for file in files:
        addresses = [word for word in file.read_text("utf-8").split('"') if "://" in word]
        assert addresses in ([], ["http://www.w3.org/2000/svg"])  # a name, nothing is loaded from it


def test_the_records_name_no_path(client: TestClient, made: Path, edits: Path) -> None:
    _add(client, "delete 2")
    assert str(made) not in client.get("/api/result").text + json.dumps(client.get("/api/summary").json())
