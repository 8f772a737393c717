"""A download's progress on the terminal."""

import sys
from typing import Never

from tqdm import tqdm

from napari_sam2.checkpoints.download import Step


class TerminalBar:
    """A bar that appears with the first step, on standard error if that is a terminal.

    Parameters
    ----------
    name
        Shown beside it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm[Never] | None = None

    def __call__(self, step: Step) -> None:
        """Show how far it has come."""
        if self._bar is None:
            self._bar = tqdm(
                desc=self._name,
                total=step.total,
                initial=step.done,
                unit="B",
                unit_scale=True,
                dynamic_ncols=True,
                disable=not sys.stderr.isatty(),
            )
        self._bar.set_postfix_str(step.note, refresh=False)
        # Negative after a file that changed on the server is begun anew.
        self._bar.update(step.done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
