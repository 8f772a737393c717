"""What importing costs, and that all but the GUI works without napari and Qt. Each case has its own interpreter."""

import subprocess
import sys

import pytest

import napari_sam2

HEAVY = ["dask", "napari", "PySide6", "PyQt6", "qtpy", "skimage", "torch", "zarr"]
GUI = ["napari", "qtpy", "superqt", "magicgui", "PySide6", "PyQt6", "vispy"]


def run_python(code: str) -> str:
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_the_package_imports_nothing_heavy() -> None:
    loaded = run_python(
        f"import sys, napari_sam2; dir(napari_sam2); print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("module", ["napari_sam2.errors", "napari_sam2.prompts", "sam2_torch.errors"])
def test_values_and_errors_do_without_torch(module: str) -> None:
    assert run_python(f"import sys, {module}; print([n for n in ('torch', 'napari') if n in sys.modules])") == "[]"


def test_the_widget_module_leaves_torch_for_later() -> None:
    assert run_python("import sys, napari_sam2.widget; print('torch' in sys.modules)") == "False"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["napari_sam2.api", "napari_sam2.cli", "sam2_torch"])
def test_works_without_napari_and_qt(module: str) -> None:
    loaded = run_python(
        f"import sys; sys.modules.update(dict.fromkeys({GUI})); import {module}; print({module}.__name__)"
    )
    assert loaded == module


@pytest.mark.slow
def test_every_public_name_is_found_without_napari_and_qt() -> None:
    missing = run_python(
        f"import sys; sys.modules.update(dict.fromkeys({GUI})); import napari_sam2\n"
        "print([name for name in napari_sam2.__all__ if getattr(napari_sam2, name, None) is None])"
    )
    assert missing == "[]"


def test_names_are_listed_before_they_are_loaded() -> None:
    assert set(napari_sam2.__all__) <= set(dir(napari_sam2))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trakc'"):
        napari_sam2.trakc  # noqa: B018
