"""`napari-sam2 models`, as a user calls it."""

import io
import os
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from checkpoints.loopback import serving
from napari_sam2.checkpoints.registry import CHECKPOINTS
from napari_sam2.checkpoints.store import Store
from napari_sam2.cli import app
from napari_sam2.models import load_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    monkeypatch.delenv("NAPARI_SAM2_OFFLINE", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def content():
    file = io.BytesIO()
    torch.save({"model": {k: v.half() for k, v in load_model("cell", device="cpu").state_dict().items()}}, file)
    return file.getvalue()


@pytest.fixture
def server(content, monkeypatch):
    with serving(content) as server:
        monkeypatch.setitem(CHECKPOINTS, "sam2.1-tiny", server.checkpoint())
        yield server


def run(*arguments):
    return CliRunner().invoke(app, ["models", *arguments])


def state_of(name):
    (line,) = [line for line in run("list").output.splitlines() if line.startswith(f"{name} ")]
    return line.split(" MB  ")[1]


def test_list_names_all_and_where_they_are_kept(cache):
    output = run("list").output
    assert all(name in output for name in CHECKPOINTS)
    assert str(cache / "models") in output
    assert "898 MB" in output
    assert state_of("cell") == "comes with napari-sam2"
    assert state_of("sam2.1-tiny") == "not downloaded"
    assert not (cache / "models").exists()


def test_download_list_info_verify(server):
    done = run("download", "sam2.1-tiny")
    assert done.exit_code == 0, done.output
    assert "downloaded, verified by its published hash, in" in done.output
    assert state_of("sam2.1-tiny") == "downloaded, verified by its published hash"
    output = run("info", "sam2.1-tiny").output
    for part in (server.checkpoint().url, server.checkpoint().sha256, "Apache-2.0", str(len(server.content))):
        assert part in output
    assert Store.default().record(CHECKPOINTS["sam2.1-tiny"]).sha256 in output
    done = run("verify", "sam2.1-tiny")
    assert done.exit_code == 0
    assert "sam2.1-tiny: good, downloaded, verified by its published hash" in done.output


def test_a_download_without_a_published_hash_is_reported_as_not_verified(server, monkeypatch):
    monkeypatch.setitem(CHECKPOINTS, "sam2.1-tiny", server.checkpoint(sha256=None))
    assert "not verified by a published hash" in run("download", "sam2.1-tiny").output
    assert "not known" in run("info", "sam2.1-tiny").output
    assert "good, downloaded, not verified" in run("verify").output


def test_download_again(server):
    run("download", "sam2.1-tiny")
    run("download", "sam2.1-tiny")
    assert len(server.asked) == 1
    run("download", "--again", "sam2.1-tiny")
    assert len(server.asked) == 2


def test_verify_finds_damage_in_all_that_is_here(server):
    run("download", "sam2.1-tiny")
    path = Store.default().path(CHECKPOINTS["sam2.1-tiny"])
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    done = run("verify")
    assert done.exit_code == 1
    assert "cell: " in done.output
    assert "was changed or is damaged" in done.output
    assert "Error: " in done.output and "sam2.1-tiny" in done.output.splitlines()[-1]


def test_verify_what_is_not_here():
    done = run("verify", "sam2-large")
    assert done.exit_code == 1
    assert "sam2-large is not on this machine. Get it with: napari-sam2 models download sam2-large" in done.output


def test_a_download_under_way_is_listed(server):
    checkpoint = server.checkpoint()
    part = Store.default().part(checkpoint)
    part.path.parent.mkdir(parents=True)
    part.begin(server.etag)
    part.path.write_bytes(server.content[:3_000_000])
    assert state_of("sam2.1-tiny") == "3 MB of it downloaded"
    run("download", "sam2.1-tiny")
    assert server.ranges == ["bytes=3000000-"]


@pytest.mark.parametrize("command", ["download", "info", "verify"])
def test_a_mistyped_name_is_one_clear_line(command):
    done = run(command, "sam2.1-tinny")
    assert done.exit_code == 1
    assert done.output.startswith("Error: There is no model 'sam2.1-tinny'. Did you mean 'sam2.1-tiny'?")
    assert "Traceback" not in done.output


def test_nothing_is_downloaded_if_one_name_is_wrong(server):
    assert run("download", "sam2.1-tiny", "nothing").exit_code == 1
    assert server.asked == []


def test_offline(server, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM2_OFFLINE", "1")
    done = run("download", "sam2.1-tiny")
    assert done.exit_code == 1
    assert "Error: sam2.1-tiny is not to be downloaded: NAPARI_SAM2_OFFLINE" in done.output
    assert "Nothing will be downloaded" in run("list").output
    assert server.asked == []


def test_listing_loads_neither_torch_nor_napari():
    code = (
        "import sys; from typer.testing import CliRunner; from napari_sam2.cli import app\n"
        "print('requests' in sys.modules, CliRunner().invoke(app, ['models', 'list']).exit_code)\n"
        "print([name for name in ('torch', 'napari', 'qtpy', 'dask') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False 0\n[]\n"


@pytest.mark.slow
def test_without_a_network_list_works_and_download_fails_clearly(cache):
    """In a process of its own, in which no name is found: as on a machine without a network."""
    code = (
        "import socket, sys\n"
        "def nothing(*_, **__): raise socket.gaierror(-3, 'Temporary failure in name resolution')\n"
        "socket.getaddrinfo = nothing\n"
        "from napari_sam2.cli import app\n"
        "app(sys.argv[1:])\n"
    )
    proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
    environment = {name: value for name, value in os.environ.items() if name not in proxies}

    def call(*arguments):
        command = [sys.executable, "-c", code, "models", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    assert call("list").returncode == 0
    failed = call("download", "sam2.1-large")
    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: sam2.1-large could not be downloaded from https://dl.fbaipublicfiles.com/")
    assert "there seems to be no network" in failed.stderr
    assert str(cache / "models" / "sam2.1_hiera_large.pt") in failed.stderr
    assert "Traceback" not in failed.stderr
