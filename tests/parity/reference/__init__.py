"""Where the recorded outputs of the original implementation are."""

from pathlib import Path

FOLDER = Path(__file__).parent
