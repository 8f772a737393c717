"""Who may write to a session's folder: one process at a time."""

import json
import os
import socket
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from napari_sam2.io.atomic import replacing


class SessionLock:
    """A lock of the operating system on a folder, which goes with the process however that ends.

    So what a killed process leaves behind is only the note saying who it was, and nobody is kept out by it.

    Parameters
    ----------
    folder
        It must be there.
    """

    def __init__(self, folder: Path) -> None:
        self._note = folder / "owner.json"
        # Whichever thread closes the session lets go of it.
        self._lock = FileLock(folder / "lock", timeout=0, thread_local=False)

    def take(self) -> bool:
        """Try to become the one who may write; whether that went well.

        Raises
        ------
        OSError
            If nothing can be written to the folder at all.
        """
        try:
            self._lock.acquire()
        except Timeout:
            return False
        with suppress(OSError), replacing(self._note) as part:
            part.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        return True

    @property
    def owner(self) -> str:
        """Who holds it, or held it last, in words."""
        try:
            note = json.loads(self._note.read_text())
            return f"process {int(note['pid'])} on {str(note['host'])[:100]!r}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def release(self) -> None:
        """Let others write."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._note.unlink()
            self._lock.release()
