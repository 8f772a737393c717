"""From an address to weights in the store: good, damaged, hostile, interrupted, without a network."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from checkpoints.conftest import QUICK, Evil, archive, saved
from checkpoints.loopback import Server
from napari_sam2.checkpoints import fetch as fetch_module
from napari_sam2.checkpoints.download import Step
from napari_sam2.checkpoints.fetch import fetch, is_offline
from napari_sam2.checkpoints.registry import CHECKPOINTS, Checkpoint
from napari_sam2.checkpoints.store import Store
from napari_sam2.errors import CheckpointError, DownloadError
from sam2_torch.build import load

Serve = Callable[[bytes], Server]


def run(checkpoint: Checkpoint, store: Store, **options: bool) -> list[Step]:
    return list(fetch(checkpoint, store, patience=QUICK, **options))


def files(store: Store) -> set[str]:
    """What is in the store, but for the lock, which may stay."""
    return {path.name for path in store.folder.iterdir()} - {".sam2.1-tiny.lock"}


def unknown(server: Server) -> Checkpoint:
    return server.checkpoint(sha256=None)


def test_it_is_downloaded_checked_and_kept_as_safetensors(serve: Serve, published, weights, store):
    server = serve(published)
    checkpoint = server.checkpoint()
    assert store.state(checkpoint) == "absent"
    steps = run(checkpoint, store)
    assert [step.note for step in steps][-2:] == ["checking", "converting"]
    assert files(store) == {"sam2.1-tiny.safetensors", "sam2.1-tiny.json"}
    assert store.state(checkpoint) == "downloaded"
    model = load(store.weights(checkpoint))
    assert all(torch.equal(tensor, weights[name].float()) for name, tensor in model.state_dict().items())
    with safe_open(store.path(checkpoint), "pt") as file:
        assert file.metadata() == {"source": checkpoint.url, "sha256": checkpoint.sha256}
    assert store.is_verified(checkpoint)
    store.verify(checkpoint)


def test_it_is_downloaded_once(serve: Serve, published, store):
    server = serve(published)
    run(server.checkpoint(), store)
    assert run(server.checkpoint(), store) == []
    assert len(server.asked) == 1
    run(server.checkpoint(), store, again=True)
    assert server.ranges == ["", ""]


def test_bundled_weights_are_never_fetched(store):
    assert run(CHECKPOINTS["cell"], store, again=True) == []
    assert not store.folder.exists()


def test_without_a_published_hash_it_is_pinned_and_said_not_to_be_verified(serve: Serve, published, store):
    checkpoint = unknown(serve(published))
    run(checkpoint, store)
    assert not store.is_verified(checkpoint)
    store.verify(checkpoint)
    record = store.record(checkpoint)
    assert record.source == checkpoint.url
    path = store.path(checkpoint)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(record.mtime_ns, record.mtime_ns))
    with pytest.raises(CheckpointError, match="was changed or is damaged"):
        store.verify(checkpoint)


def test_a_flipped_bit_on_disk_is_noticed_at_the_next_loading(serve: Serve, published, store):
    server = serve(published)
    checkpoint = server.checkpoint()
    run(checkpoint, store)
    path = store.path(checkpoint)
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
    time_of_writing = store.record(checkpoint).mtime_ns + 1_000_000
    os.utime(path, ns=(time_of_writing, time_of_writing))
    with pytest.raises(CheckpointError, match=r"models download --again sam2\.1-tiny"):
        store.weights(checkpoint)
    with pytest.raises(CheckpointError, match="Delete it and choose"):
        run(checkpoint, store)
    path.unlink()
    run(checkpoint, store)
    store.verify(checkpoint)


def test_a_copied_cache_is_trusted_after_one_look(serve: Serve, published, store, monkeypatch):
    checkpoint = serve(published).checkpoint()
    run(checkpoint, store)
    os.utime(store.path(checkpoint))
    assert store.weights(checkpoint) == store.path(checkpoint)
    monkeypatch.setattr("napari_sam2.checkpoints.store.sha256", lambda path: pytest.fail("it was read again"))
    assert store.weights(checkpoint) == store.path(checkpoint)


def test_damage_on_the_way_is_noticed_and_it_is_fetched_once_more(serve: Serve, published, store):
    server = serve(published)
    server.moods = ["corrupt"]
    run(server.checkpoint(), store)
    assert server.ranges == ["", ""]
    store.verify(server.checkpoint())


def test_a_file_with_another_hash_is_refused_and_not_kept(serve: Serve, published, store):
    checkpoint = serve(published).checkpoint(sha256="0" * 64)
    with pytest.raises(CheckpointError, match=rf"its SHA-256 is \w+, expected {'0' * 64}.* try another network"):
        run(checkpoint, store)
    assert files(store) == set()


def hostile(weights: dict[str, torch.Tensor], sentinel: Path) -> dict[str, bytes]:
    """Files that begin as PyTorch's do and are no weights of this network."""
    whole = saved({"model": weights})
    few = dict(list(weights.items())[:-1])
    name = next(reversed(weights))
    bomb = Path(sentinel).with_name("bomb.pt")
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", bytes(10_000_000))
    return {
        "evil": saved({"model": Evil(sentinel)}),
        "evil beside weights": saved({"model": weights, "extra": Evil(sentinel)}),
        "truncated": whole[:-100_000],
        "noise": archive(),
        "bomb": bomb.read_bytes(),
        "wrong keys": saved({"model": few}),
        "nothing": saved({"model": {}}),
        "a list": saved([1, 2]),
        "nan": saved({"model": weights | {name: torch.full_like(weights[name], float("nan"))}}),
        "integers": saved({"model": weights | {name: torch.zeros_like(weights[name], dtype=torch.int64)}}),
        "no values": saved({"model": weights | {name: torch.empty_like(weights[name], device="meta")}}),
        "sparse": saved({"model": weights | {name: torch.zeros_like(weights[name]).to_sparse()}}),
    }


EXPECTED = {
    "evil": "nothing in it was executed",
    "evil beside weights": "nothing in it was executed",
    "truncated": "damaged, cut short",
    "noise": "damaged, cut short",
    "bomb": "not a readable checkpoint",
    "wrong keys": "1 tensors missing",
    "nothing": "holds no state dict",
    "a list": "holds no state dict",
    "nan": "NaN or infinity",
    "integers": "floating-point numbers",
    "no values": "floating-point numbers",
    "sparse": "floating-point numbers",
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_hostile_and_damaged_files_are_refused_run_nothing_and_leave_nothing(
    serve: Serve, weights, store, tmp_path, kind
):
    sentinel = tmp_path / "was_here"
    checkpoint = unknown(serve(hostile(weights, sentinel)[kind]))
    with pytest.raises(CheckpointError, match=EXPECTED[kind]):
        run(checkpoint, store)
    assert not sentinel.exists()
    assert files(store) == set()
    assert store.state(checkpoint) == "absent"


def test_weights_of_another_network_are_refused(serve: Serve, published, store):
    checkpoint = serve(published).checkpoint(config="sam2.1_hiera_tiny")
    with pytest.raises(CheckpointError, match=r"holds the weights of cell, not those of sam2\.1-tiny"):
        run(checkpoint, store)
    assert files(store) == set()


def test_tensors_that_share_memory_are_kept_apart(serve: Serve, weights, store):
    same = [name for name, tensor in weights.items() if tensor.shape == (128,)][:2]
    shared = torch.ones(256)
    changed = weights | {same[0]: shared[:128], same[1]: shared[64:192]}
    checkpoint = unknown(serve(saved({"model": changed})))
    run(checkpoint, store)
    assert torch.equal(load(store.weights(checkpoint)).state_dict()[same[1]], torch.ones(128))


def test_a_file_got_by_other_means_is_taken_without_a_network(serve: Serve, published, store):
    server = serve(published)
    checkpoint = server.checkpoint()
    store.folder.mkdir(parents=True)
    store.original(checkpoint).write_bytes(published)
    run(checkpoint, store, offline=True)
    assert server.asked == []
    assert files(store) == {"sam2.1-tiny.safetensors", "sam2.1-tiny.json"}
    assert store.is_verified(checkpoint)


def test_a_wrong_file_got_by_other_means_is_refused_and_left_alone(serve: Serve, published, store):
    checkpoint = serve(published).checkpoint()
    store.folder.mkdir(parents=True)
    store.original(checkpoint).write_bytes(b"mine")
    with pytest.raises(CheckpointError, match="If you put it there, delete it"):
        run(checkpoint, store)
    assert store.original(checkpoint).read_bytes() == b"mine"


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_nothing_is_asked_for_and_the_way_out_is_told(server, store, monkeypatch, how):
    monkeypatch.setenv("NAPARI_SAM2_OFFLINE", "1" if how == "environment" else "")
    checkpoint = server.checkpoint()
    with pytest.raises(DownloadError) as caught:
        run(checkpoint, store, **({"offline": True} if how == "argument" else {}))
    for part in (checkpoint.url, str(store.original(checkpoint)), "NAPARI_SAM2_OFFLINE", "cell"):
        assert part in str(caught.value)
    assert server.asked == []
    assert not store.folder.exists()


def test_offline_what_is_there_is_used_and_not_dropped(serve: Serve, published, store):
    checkpoint = serve(published).checkpoint()
    run(checkpoint, store)
    assert run(checkpoint, store, offline=True) == []
    with pytest.raises(DownloadError, match="not to be downloaded"):
        run(checkpoint, store, offline=True, again=True)
    store.verify(checkpoint)


@pytest.mark.parametrize(("value", "offline"), [("", False), ("0", False), ("no", False), ("1", True), ("True", True)])
def test_what_counts_as_offline(monkeypatch, value, offline):
    monkeypatch.setenv("NAPARI_SAM2_OFFLINE", value)
    assert is_offline() is offline


def test_an_argument_overrules_the_environment(serve: Serve, published, store, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM2_OFFLINE", "1")
    checkpoint = serve(published).checkpoint()
    run(checkpoint, store, offline=False)
    assert store.state(checkpoint) == "downloaded"


def test_a_failed_download_anew_leaves_the_old_file(serve: Serve, published, store):
    server = serve(published)
    checkpoint = server.checkpoint()
    run(checkpoint, store)
    server.moods = [404]
    with pytest.raises(DownloadError):
        run(checkpoint, store, again=True)
    store.verify(checkpoint)


def test_no_room_is_noticed_before_anything_is_sent(server, store, monkeypatch):
    usage = replace_free(fetch_module.shutil.disk_usage("/"), 100_000)
    monkeypatch.setattr(fetch_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match=r"There is no room .* 1 MB are needed, 0 MB are free"):
        run(server.checkpoint(), store)
    assert server.asked == []


def replace_free(usage, free):
    return type(usage)(usage.total, usage.total - free, free)


def test_a_folder_that_cannot_be_made_is_explained(server, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(DownloadError, match=r"taken.* cannot be used .*NAPARI_SAM2_CACHE"):
        run(server.checkpoint(), Store(tmp_path / "taken" / "models"))


def test_a_full_disk_while_converting_is_explained_and_the_download_is_kept(
    serve: Serve, published, store, monkeypatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    server = serve(published)
    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", full)
        with pytest.raises(DownloadError, match="No space left on device"):
            run(server.checkpoint(), store)
    assert files(store) == {"weights.pt"}
    run(server.checkpoint(), store)
    assert len(server.asked) == 1
    store.verify(server.checkpoint())


def test_only_one_downloads_and_the_other_waits(serve: Serve, published, store):
    server = serve(published)
    server.slow_s = 0.02
    first, second = (fetch(server.checkpoint(), store, patience=QUICK) for _ in range(2))
    next(first)
    assert next(second).note == "another process downloads it already"
    server.slow_s = 0
    list(first)
    assert all("another process" in step.note for step in second)
    assert len(server.asked) == 1
    store.verify(server.checkpoint())


def test_one_that_stops_lets_the_next_go_on(serve: Serve, published, store):
    server = serve(published)
    server.slow_s = 0.02
    first = fetch(server.checkpoint(), store, patience=QUICK)
    while next(first).done < 1_000_000:
        pass
    first.close()
    assert store.state(server.checkpoint()) == "partial"
    kept = store.part(server.checkpoint()).size
    server.slow_s = 0
    run(server.checkpoint(), store)
    assert server.ranges == ["", f"bytes={kept}-"]
    store.verify(server.checkpoint())


KILLED = """
import sys, time
from pathlib import Path
import safetensors.torch
from napari_sam2.checkpoints.fetch import fetch
from napari_sam2.checkpoints.registry import Checkpoint
from napari_sam2.checkpoints.store import Store

url, size, folder = sys.argv[1:]

def half(tensors, path, metadata):
    path.write_bytes(b"half of it")
    print("converting", flush=True)
    time.sleep(60)

safetensors.torch.save_file = half
for step in fetch(Checkpoint("sam2.1-tiny", "cell", int(size), None, url), Store(Path(folder))):
    pass
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_process_killed_while_it_converts(serve: Serve, published, store):
    server = serve(published)
    checkpoint = unknown(server)
    arguments = [sys.executable, "-c", KILLED, checkpoint.url, str(checkpoint.size), str(store.folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "converting\n"
        os.kill(process.pid, signal.SIGKILL)
    left = files(store)
    assert "weights.pt" in left and len(left) == 2
    assert store.weights(checkpoint) is None
    run(checkpoint, store)
    assert files(store) == {"sam2.1-tiny.safetensors", "sam2.1-tiny.json"}
    assert len(server.asked) == 1
    store.verify(checkpoint)


@pytest.mark.parametrize("note", ["", "{", "[]", "{}"])
def test_weights_without_a_readable_record_are_fetched_anew(serve: Serve, published, store, note):
    checkpoint = serve(published).checkpoint()
    run(checkpoint, store)
    (store.folder / "sam2.1-tiny.json").write_text(note)
    assert store.weights(checkpoint) is None
    run(checkpoint, store)
    assert json.loads((store.folder / "sam2.1-tiny.json").read_text())["source"] == checkpoint.url
