"""Downloads from a server on this machine that misbehaves in every way we could think of."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from checkpoints.conftest import QUICK, archive
from checkpoints.loopback import LOGIN_PAGE, Server
from napari_sam2.checkpoints import download as download_module
from napari_sam2.checkpoints.download import Patience, Step, download
from napari_sam2.checkpoints.part_file import PartFile
from napari_sam2.errors import CheckpointError, DownloadError

HALF = 150_000 // (1 << 14) * (1 << 14)  # whole blocks of what comes before the middle


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


def run(server: Server, target: Path, **changes: object) -> list[Step]:
    return list(download(server.checkpoint(**changes), target, QUICK))


def files(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_arrives_whole_under_its_name(server, target):
    steps = run(server, target)
    assert target.read_bytes() == server.content
    assert files(target) == ["weights.pt"]
    assert steps[-1] == Step(300_000, 300_000)
    assert server.ranges == [""]
    assert [step.done for step in steps] == sorted(step.done for step in steps)


@pytest.mark.parametrize("mood", ["truncate", "stall"])
def test_a_connection_that_breaks_or_stalls_is_gone_on_from_where_it_stopped(server, target, mood):
    server.moods = [mood]
    steps = run(server, target)
    assert target.read_bytes() == server.content
    assert server.ranges == ["", f"bytes={HALF}-"]
    assert server.asked[1]["If-Range"] == server.etag
    assert any("trying again" in step.note for step in steps)


@pytest.mark.parametrize("mood", ["die", 500, 503, 429])
def test_a_server_that_fails_for_a_while_is_asked_again(server, target, mood):
    server.moods = [mood, mood, mood]
    run(server, target)
    assert target.read_bytes() == server.content


def test_attempts_count_only_while_nothing_new_arrives(server, target):
    server.moods = ["truncate"] * 6
    run(server, target)
    assert target.read_bytes() == server.content


def test_it_is_given_up_in_the_end_and_what_came_is_kept(server, target):
    server.moods = ["truncate", *[503] * 4]
    with pytest.raises(DownloadError) as caught:
        run(server, target)
    message = str(caught.value)
    for part in (server.checkpoint().url, "503", "is kept", "save it as", str(target), "HTTPS_PROXY"):
        assert part in message
    assert files(target) == ["weights.pt.part", "weights.pt.part.json"]
    run(server, target)
    assert target.read_bytes() == server.content
    assert server.ranges[-1] == f"bytes={HALF}-"


def test_nobody_there(server, target):
    checkpoint = server.checkpoint(url="http://127.0.0.1:9/weights.pt")
    steps = download(checkpoint, target, QUICK)
    with pytest.raises(DownloadError, match=r"downloaded from http://127.0.0.1:9/weights.pt: .* cannot be reached"):
        list(steps)
    assert files(target) == []


def test_no_network(server, target, monkeypatch):
    def no_name(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    checkpoint = server.checkpoint(url="http://nowhere.invalid/weights.pt")
    tries = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: tries.append(1) or no_name())
    with pytest.raises(DownloadError, match="seems to be no network"):
        list(download(checkpoint, target, QUICK))
    assert len(tries) == QUICK.first_attempts < QUICK.attempts


def test_a_network_that_goes_and_comes_back_is_waited_for(server, target, monkeypatch):
    server.moods = ["truncate"]
    steps = download(server.checkpoint(), target, QUICK)
    while "trying again" not in next(steps).note:
        pass
    missing = [True] * (QUICK.attempts - 2)
    real = socket.getaddrinfo

    def comes_back(*args: object, **kwargs: object) -> object:
        if missing and missing.pop():
            raise socket.gaierror(-2, "Name or service not known")
        return real(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", comes_back)
    list(steps)
    assert missing == []
    assert target.read_bytes() == server.content


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_not_there_is_not_asked_for_again(server, target, status):
    server.moods = [status] * 5
    with pytest.raises(DownloadError, match=f"the server answers {status}"):
        run(server, target)
    assert len(server.asked) == 1


def test_retry_after_is_heeded(server, target):
    server.moods = [(503, 1)]
    began = time.monotonic()
    run(server, target)
    assert 1 <= time.monotonic() - began < 5


def test_redirects_are_followed_with_the_range(server, serve, target):
    other = serve(server.content)
    aside = ("redirect", f"{other.address}/elsewhere.pt")
    server.moods = [aside, aside]
    other.moods = ["truncate"]
    run(server, target)
    assert target.read_bytes() == server.content
    assert other.ranges == ["", f"bytes={HALF}-"]


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(server, target):
    server.moods = [("redirect", "file:///etc/hostname")]
    with pytest.raises(DownloadError, match="InvalidSchema"):
        run(server, target)
    assert files(target) == []


def test_a_circle_of_redirects_ends(server, target):
    server.moods = [("redirect", server.checkpoint().url)] * 40
    with pytest.raises(DownloadError, match="TooManyRedirects"):
        run(server, target)


def test_encryption_is_not_given_up_on_the_way(server, target, monkeypatch):
    part = PartFile(target, "https://a/weights.pt")
    response, hop = requests.Response(), requests.Response()
    response.status_code, response.url, hop.url = 200, "http://b/weights.pt", "https://a/weights.pt"
    response.history = [hop]
    with pytest.raises(DownloadError, match=r"http://b/weights\.pt without encryption"):
        download_module._prepare(response, server.checkpoint(url="https://a/weights.pt"), part)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_web_page_instead_of_the_file_is_refused(server, target, resumed):
    server.moods = ["truncate", "html"] if resumed else ["html"]
    with pytest.raises(CheckpointError, match=r"sends text/html instead of the weights of sam2\.1-tiny"):
        run(server, target)
    assert files(target) == []
    run(server, target)
    assert target.read_bytes() == server.content


def test_a_web_page_of_the_right_size_is_refused(serve, target):
    server = serve(LOGIN_PAGE)
    with pytest.raises(CheckpointError, match="web page"):
        run(server, target)


@pytest.mark.parametrize("longer", [1, -1, 200_000])
def test_a_file_of_another_size_is_refused(server, target, longer):
    with pytest.raises(CheckpointError, match=f"sends 300000 bytes, but sam2.1-tiny has {300_000 + longer}"):
        run(server, target, size=300_000 + longer)
    assert files(target) == []


def test_a_stream_without_end_does_not_fill_the_disk(server, target):
    server.moods = ["endless"]
    with pytest.raises(CheckpointError, match="it is another file"):
        run(server, target)
    assert files(target) == []


def test_an_empty_answer_is_an_interruption(serve, target):
    server = serve(b"")
    with pytest.raises(DownloadError, match="closed early"):
        run(server, target, size=1000)
    assert len(server.asked) == QUICK.attempts


@pytest.mark.parametrize("mood", ["ignore range", "chunked"])
def test_a_server_that_knows_no_ranges_sends_it_whole(server, target, mood):
    server.moods = ["truncate", mood]
    run(server, target)
    assert target.read_bytes() == server.content


@pytest.mark.parametrize("mood", ["good", "ignore if-range"])
def test_another_version_on_the_server_is_fetched_from_its_beginning(server, target, mood):
    server.moods = ["truncate"]
    steps = download(server.checkpoint(), target, QUICK)
    while "trying again" not in next(steps).note:
        pass
    old, server.content = server.content, archive(seed=1)
    server.moods = [mood]
    list(steps)
    assert target.read_bytes() == server.content != old


@pytest.mark.parametrize("mood", ["no validators", "weak etag"])
def test_without_a_version_nothing_is_put_together(server, target, mood):
    server.moods = ["truncate", mood]
    steps = download(server.checkpoint(), target, QUICK)
    while "trying again" not in next(steps).note:
        pass
    PartFile(target, server.checkpoint().url).begin("")
    PartFile(target, server.checkpoint().url).path.write_bytes(archive(seed=2)[:1000])
    list(steps)
    assert server.ranges == ["", ""]
    assert target.read_bytes() == server.content


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": "http://another/weights.pt", "version": ETAG}'])
def test_a_part_that_cannot_be_told_apart_is_dropped(server, target, note):
    part = PartFile(target, server.checkpoint().url)
    part.path.write_bytes(archive(seed=3)[:1000])
    part.path.with_name("weights.pt.part.json").write_text(note.replace("ETAG", json.dumps(server.etag)))
    run(server, target)
    assert target.read_bytes() == server.content


def test_a_part_that_is_longer_than_the_file_is_dropped(server, target):
    part = PartFile(target, server.checkpoint().url)
    part.begin(server.etag)
    part.path.write_bytes(archive(400_000))
    run(server, target)
    assert target.read_bytes() == server.content


def test_a_part_that_is_complete_is_not_asked_for(server, target):
    part = PartFile(target, server.checkpoint().url)
    part.begin(server.etag)
    part.path.write_bytes(server.content)
    run(server, target)
    assert target.read_bytes() == server.content
    assert server.asked == []


def test_a_range_that_the_server_does_not_have(server, target):
    part = PartFile(target, server.checkpoint().url)
    part.begin(server.etag)
    part.path.write_bytes(server.content[:1000])
    server.moods = [416]
    run(server, target)
    assert target.read_bytes() == server.content
    assert server.ranges == ["bytes=1000-", ""]


def test_a_full_disk_is_explained(server, target, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PartFile, "begin", full)
    with pytest.raises(DownloadError, match=r"cannot be written to .*No space left on device.*NAPARI_SAM2_CACHE"):
        run(server, target)


def test_a_proxy_is_used(server, serve, target, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.address)
    checkpoint = server.checkpoint(url="http://published.invalid/weights.pt")
    list(download(checkpoint, target, QUICK))
    assert target.read_bytes() == server.content
    assert server.asked[0]["path"] == "http://published.invalid/weights.pt"


def test_a_proxy_that_wants_a_password_is_reported(server, target, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.address)
    server.moods = [407] * 9
    with pytest.raises(DownloadError, match="the server answers 407"):
        list(download(server.checkpoint(url="http://published.invalid/weights.pt"), target, QUICK))


def test_it_stops_between_two_steps(server, target):
    server.slow_s = 0.15
    steps = download(server.checkpoint(), target, QUICK)
    while next(steps).done == 0:
        pass
    steps.close()
    assert 0 < PartFile(target, server.checkpoint().url).size < 300_000
    assert not target.exists()
    server.slow_s = 0
    run(server, target)
    assert target.read_bytes() == server.content
    assert server.ranges[1] != ""


def test_pauses_grow_up_to_a_limit():
    assert [Patience().pause(failures) for failures in range(1, 7)] == [1, 2, 4, 8, 8, 8]


KILLED = """
import sys
from pathlib import Path
from napari_sam2.checkpoints.download import download
from napari_sam2.checkpoints.registry import Checkpoint

url, target = sys.argv[1:]
for step in download(Checkpoint("sam2.1-tiny", "cell", 1_000_000, None, url), Path(target)):
    print(step.done, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_is_gone_on_from(serve, target):
    server = serve(archive(1_000_000))
    server.slow_s = 0.1
    url = server.checkpoint().url
    arguments = [sys.executable, "-c", KILLED, url, str(target)]
    # In a session of its own nobody else is hit.
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 200_000:
            pass
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = PartFile(target, url).size
    assert 200_000 <= kept < 1_000_000
    assert not target.exists()
    server.slow_s = 0
    run(server, target)
    assert server.ranges[-1] == f"bytes={kept}-"
    assert target.read_bytes() == server.content
    assert files(target) == ["weights.pt"]
