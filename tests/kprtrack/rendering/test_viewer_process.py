"""The viewer is started for this machine alone, and cut off from the network; a script stands for Rerun."""

import json
import sys
from pathlib import Path

import pytest

from kprtrack.core.errors import OutputError
from kprtrack.rendering.viewer_process import start_viewer

LISTENING = """
import json, os, socket, sys
found = {"arguments": sys.argv[1:], "environment": dict(os.environ)}
with open(sys.argv[0] + ".new", "w") as file:
    json.dump(found, file)
os.replace(sys.argv[0] + ".new", sys.argv[0] + ".json")
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
server = socket.create_server((options["--bind"], int(options["--port"])))
server.accept()
"""


def script(folder: Path, code: str) -> str:
    path = folder / "rerun"
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="a script is no program on Windows")
def test_the_viewer_listens_on_this_machine_and_has_no_way_out(tmp_path: Path) -> None:
    address = start_viewer(script(tmp_path, LISTENING))
    found = json.loads((tmp_path / "rerun.json").read_text())
    arguments = dict(zip(found["arguments"][::2], found["arguments"][1::2], strict=False))
    assert arguments["--bind"] == "127.0.0.1"
    assert address == f"rerun+http://127.0.0.1:{arguments['--port']}/proxy"
    # Seen with Rerun 0.41 by strace: with these it sends no usage data and asks no server for newer versions.
    assert found["environment"]["CI"] == "1"
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        assert found["environment"][name] == "http://127.0.0.1:9"


@pytest.mark.skipif(sys.platform == "win32", reason="a script is no program on Windows")
def test_a_viewer_that_ends_is_one_line_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"ended with exit code 7\. Add --save"):
        start_viewer(script(tmp_path, "raise SystemExit(7)"))


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Cannot open the viewer"):
        start_viewer(str(tmp_path / "missing"))
