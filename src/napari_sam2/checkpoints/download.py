"""Fetching a published checkpoint over a bad connection."""

# Not with pooch: it starts over from nothing whenever the connection breaks, and a killed process leaves what it had
# under a random name for ever. For 900 MB that will not do, and what is left of pooch then is hashing a file.

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from napari_sam2.checkpoints.part_file import PartFile
from napari_sam2.checkpoints.registry import Checkpoint, megabytes
from napari_sam2.errors import CheckpointError, DownloadError

# A block that a broken connection leaves incomplete is lost.
_BLOCK = 1 << 14
_BETWEEN_STEPS_S = 0.1
_TRY_LATER = {408, 425, 429}
_LONGEST_RETRY_AFTER_S = 60


@dataclass(frozen=True, slots=True)
class Patience:
    """How much of a bad connection to put up with.

    Attributes
    ----------
    attempts
        Attempts in a row that bring nothing new before it is given up.
    first_attempts
        The same while no server has been reached at all: who has no network wants to hear so at once.
    timeout_s
        Seconds without a byte after which an attempt has failed. Short, since the next goes on from there.
    pause_s, longest_pause_s
        Seconds of waiting after the first failure, doubled with each further one, and the most that becomes.
    """

    attempts: int = 6
    first_attempts: int = 2
    timeout_s: float = 5.0
    pause_s: float = 1.0
    longest_pause_s: float = 8.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures."""
        return float(min(self.pause_s * 2 ** (failures - 1), self.longest_pause_s))


@dataclass(frozen=True, slots=True)
class Step:
    """How far a download has come.

    Attributes
    ----------
    done, total
        Bytes on this machine, and in all.
    note
        What goes on other than that bytes arrive; empty if nothing does.
    """

    done: int
    total: int
    note: str = ""


class _Interrupted(Exception):
    """An attempt that failed, while another may not."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class _Unreachable(_Interrupted):
    """No server was reached."""


def download(checkpoint: Checkpoint, target: Path, patience: Patience | None = None) -> Iterator[Step]:
    """Fetch a checkpoint; what an earlier call, or a process that was killed, has fetched of it is gone on from.

    A generator: nothing happens between two steps, so it is stopped by not asking for the next. Whether the content is
    right is for the caller to check; here only its size and its first bytes are.

    Parameters
    ----------
    checkpoint
        What to fetch; its size must be right.
    target
        The file to write. It gets this name when it is complete.
    patience
        How much of a bad connection to put up with.

    Raises
    ------
    DownloadError
        If the file cannot be had, or not be written; what has come of it is kept.
    CheckpointError
        If the server sends something else.
    """
    patience = patience or Patience()
    part = PartFile(target, checkpoint.url)
    failures, reached = 0, False
    try:
        with requests.Session() as session:
            while part.size != checkpoint.size:
                before = part.size
                try:
                    yield from _attempt(session, checkpoint, part, patience.timeout_s)
                except _Interrupted as error:
                    reached = reached or not isinstance(error, _Unreachable)
                    failures = 1 if part.size > before else failures + 1
                    if failures >= (patience.attempts if reached else patience.first_attempts):
                        raise _given_up(str(error), checkpoint, part) from error
                    pause_s = max(patience.pause(failures), error.retry_after_s)
                    yield from _pause(pause_s, str(error), part.size, checkpoint.size)
        part.complete()
    except requests.RequestException as error:
        raise _given_up(f"{type(error).__name__}: {error}", checkpoint, part) from error
    except OSError as error:
        raise DownloadError(
            f"{checkpoint.name} cannot be written to {part.path} ({error.strerror or error}). Make room there "
            f"({megabytes(2 * checkpoint.size)} are needed), or name another folder in NAPARI_SAM2_CACHE."
        ) from error


def _attempt(session: requests.Session, checkpoint: Checkpoint, part: PartFile, timeout_s: float) -> Iterator[Step]:
    yield Step(part.size, checkpoint.size, "connecting")
    headers = {"Accept-Encoding": "identity", "User-Agent": "napari-sam2"}
    if part.size > checkpoint.size or not part.version:
        part.discard()
    if part.size:
        # A server that has another version by now sends all of it instead of the range.
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.version}
    try:
        with session.get(checkpoint.url, headers=headers, stream=True, timeout=timeout_s) as response:
            _prepare(response, checkpoint, part)
            yield from _receive(response, checkpoint, part)
    except requests.exceptions.SSLError:
        raise
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _interruption(error) from error
    if part.size < checkpoint.size:
        raise _Interrupted("the connection was closed early")


def _prepare(response: requests.Response, checkpoint: Checkpoint, part: PartFile) -> None:
    """Make the part end where what the response brings begins."""
    stations = [hop.url for hop in (*response.history, response)]
    if checkpoint.url.startswith("https:") and not all(url.startswith("https:") for url in stations):
        raise _given_up(f"it leads on to {stations[-1]} without encryption", checkpoint, part)
    status = response.status_code
    sent = _version(response)
    if status == 206:
        # Servers that ignore If-Range send the range of whatever they have.
        begins = f"bytes {part.size}-"
        if response.headers.get("Content-Range", "").startswith(begins) and sent in ("", part.version):
            return
        part.discard()
        raise _Interrupted("the file on the server has changed meanwhile")
    if status == 416:
        part.discard()
        raise _Interrupted("the server has no more of the file")
    if status in _TRY_LATER or status >= 500:
        raise _Interrupted(f"the server answers {status} {response.reason}", _retry_after(response))
    if status != 200:
        raise _given_up(f"the server answers {status} {response.reason}", checkpoint, part)
    part.begin(sent)


def _receive(response: requests.Response, checkpoint: Checkpoint, part: PartFile) -> Iterator[Step]:
    shown, wrong, looked = 0.0, "", False
    # Unbuffered, so that a killed process leaves all that came.
    with part.path.open("ab", buffering=0) as file:
        for block in response.iter_content(_BLOCK):
            file.write(block)
            if not looked or file.tell() > checkpoint.size:
                wrong, looked = _what_is_wrong(response, checkpoint, part), True
                if wrong:
                    break
            if time.monotonic() - shown > _BETWEEN_STEPS_S:
                shown = time.monotonic()
                yield Step(file.tell(), checkpoint.size)
    if wrong:
        part.discard()
        raise CheckpointError(wrong)
    yield Step(part.size, checkpoint.size)


def _what_is_wrong(response: requests.Response, checkpoint: Checkpoint, part: PartFile) -> str:
    """Why what has come cannot be the beginning of the checkpoint; empty if it can."""
    if not part.begins_well:
        kind = response.headers.get("Content-Type", "something else")
        return (
            f"{response.url} sends {kind} instead of the weights of {checkpoint.name}, probably a web page. Perhaps "
            "this network wants you to log in first, or a proxy blocks the file: open the address in a browser."
        )
    announced = checkpoint.size
    if response.status_code == 200 and "Content-Encoding" not in response.headers:
        announced = int(response.headers.get("Content-Length", announced))
    if announced == checkpoint.size and part.size <= announced:
        return ""
    return (
        f"{response.url} sends {max(announced, part.size)} bytes, but {checkpoint.name} has {checkpoint.size}: it is "
        "another file. If you trust it, download it and load it by its path."
    )


def _pause(seconds: float, reason: str, done: int, total: int) -> Iterator[Step]:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        yield Step(done, total, f"{reason}; trying again in {left:.0f} s")
        time.sleep(min(left, _BETWEEN_STEPS_S))


def _given_up(reason: str, checkpoint: Checkpoint, part: PartFile) -> DownloadError:
    kept = f"What has come, {megabytes(part.size)}, is kept, and another try goes on from there. " if part.size else ""
    return DownloadError(
        f"{checkpoint.name} could not be downloaded from {checkpoint.url}: {reason}. {kept}Check the network, or "
        f"HTTPS_PROXY if you need a proxy. Or download it by other means, save it as {part.target}, and try again."
    )


def _version(response: requests.Response) -> str:
    etag = response.headers.get("ETag", "")
    # A weak one says that two files mean the same, not that they are made of the same bytes.
    return response.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag


def _retry_after(response: requests.Response) -> float:
    seconds = response.headers.get("Retry-After", "0")
    return min(float(seconds), _LONGEST_RETRY_AFTER_S) if seconds.isdecimal() else 0.0


def _interruption(error: requests.RequestException) -> _Interrupted:
    # requests tells these apart in its text only.
    text = str(error)
    if "NameResolutionError" in text:
        return _Unreachable("its address is not found, so there seems to be no network")
    if isinstance(error, requests.exceptions.ProxyError):
        return _Unreachable(f"the proxy cannot be used ({text})")
    if isinstance(error, requests.ConnectTimeout) or "NewConnectionError" in text:
        return _Unreachable("the server cannot be reached")
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return _Interrupted("the server stopped answering")
    return _Interrupted(f"the connection broke ({type(error).__name__})")
