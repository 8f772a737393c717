"""An HTTP server on this machine that serves one file, and misbehaves as told."""

import hashlib
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from napari_sam2.checkpoints.registry import Checkpoint

LOGIN_PAGE = b"<!DOCTYPE html><html><body>Please log in to the hotel's network</body></html>"


class Server(ThreadingHTTPServer):
    """Answers one request after another as `moods` says, and well when that is used up.

    Moods: "good", "truncate", "stall", "corrupt", "die", "html", "ignore range", "no validators", "weak etag",
    "ignore if-range", "endless", "chunked", a status, (503, seconds to wait), ("redirect", address).

    Attributes
    ----------
    asked
        Headers of each request, with "path".
    slow_s
        Pause between blocks of 64 kB.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.moods: list[Any] = []
        self.asked: list[dict[str, str]] = []
        self.slow_s = 0.0
        self.over = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def etag(self) -> str:
        return f'"{zlib.crc32(self.content):x}"'

    @property
    def ranges(self) -> list[str]:
        return [headers.get("Range", "") for headers in self.asked]

    def checkpoint(self, **changes: Any) -> Checkpoint:
        """The file as an entry of the registry."""
        known = {"size": len(self.content), "sha256": hashlib.sha256(self.content).hexdigest()}
        return Checkpoint(
            **{"name": "sam2.1-tiny", "config": "cell", "url": f"{self.address}/folder/weights.pt", **known, **changes}
        )


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        server.asked.append({**self.headers, "path": self.path})
        mood = server.moods.pop(0) if server.moods else "good"
        if mood == "die":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif mood == "html":
            self.answer(200, LOGIN_PAGE, {"Content-Type": "text/html"})
        elif isinstance(mood, int):
            self.answer(mood, LOGIN_PAGE, {"Content-Type": "text/html"})
        elif isinstance(mood, tuple) and mood[0] == "redirect":
            self.answer(302, b"", {"Location": mood[1]})
        elif isinstance(mood, tuple):
            self.answer(mood[0], b"", {"Retry-After": str(mood[1])})
        elif mood == "endless":
            self.endless()
        else:
            self.serve(mood)

    def serve(self, mood: str) -> None:
        server, content, headers = self.server, self.server.content, {"Content-Type": "application/octet-stream"}
        if mood not in ("no validators", "weak etag"):
            headers["ETag"] = server.etag
        if mood == "weak etag":
            headers["ETag"] = f"W/{server.etag}"
        asked, same = self.headers.get("Range", ""), self.headers.get("If-Range") == server.etag
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if mood == "ignore range" or not (same or mood == "ignore if-range"):
            start = 0
        if start and start >= len(content):
            return self.answer(416, b"")
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if mood == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.answer(206 if start else 200, body, headers, mood)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, mood: str = "") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if mood == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = len(body) // 2 if mood in ("truncate", "stall") else len(body)
        for begin in range(0, cut, 1 << 16):
            self.wfile.write(body[begin : min(begin + (1 << 16), cut)])
            self.server.over.wait(self.server.slow_s)
        if mood == "stall":
            self.wfile.flush()
            self.server.over.wait()
        if mood in ("truncate", "stall"):
            self.close_connection = True

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        while not self.server.over.is_set():
            self.wfile.write(self.server.content)


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """Run a server in a thread."""
    server = Server(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
