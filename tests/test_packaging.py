"""The manifest that napari finds, and what the archives contain."""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points, files, version
from pathlib import Path
from typing import Any

import pytest

import napari_sam2

npe2 = pytest.importorskip("npe2")

# What PyPI takes by default.
LARGEST_FILE = 100e6


def test_the_manifest_beside_the_module_is_the_one_at_the_top(repository: Path) -> None:
    beside = Path(napari_sam2.__file__).with_name("napari.yaml")
    assert beside.read_text() == (repository / "napari.yaml").read_text()


def test_the_entry_point_leads_to_a_valid_manifest(repository: Path) -> None:
    (entry,) = [entry for entry in entry_points(group="napari.manifest") if entry.name == "napari-sam2"]
    assert entry.value == "napari_sam2:napari.yaml"
    installed = npe2.PluginManifest.from_distribution("napari-sam2")
    assert installed.name == "napari-sam2"
    assert installed.package_version == version("napari-sam2") == napari_sam2.__version__
    assert installed.contributions == npe2.PluginManifest.from_file(repository / "napari.yaml").contributions


def test_the_manifest_avoids_fields_that_older_npe2_refuses(repository: Path) -> None:
    manifest = (repository / "napari.yaml").read_text()
    assert "default_dock_area" not in manifest
    assert "tabify" not in manifest


@pytest.mark.widget
def test_every_python_name_of_the_manifest_resolves() -> None:
    manifest = npe2.PluginManifest.from_distribution("napari-sam2")
    manifest.validate_imports()
    commands = manifest.contributions.commands or []
    assert {"napari-sam2.track", "napari-sam2.sample", "napari-sam2.read_session", "napari-sam2.propagate"} <= {
        command.id for command in commands
    }
    for command in commands:
        module, name = (command.python_name or "").split(":")
        assert callable(getattr(import_module(module), name))


@pytest.mark.widget
def test_napari_opens_the_widget_from_the_manifest(make_napari_viewer: Callable[..., Any], npe2pm: Any) -> None:
    with npe2pm.tmp_plugin(package="napari-sam2"):
        viewer = make_napari_viewer()
        _, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "Track cells (SAM 2)")
        assert type(widget).__name__ == "TrackerWidget"


@pytest.fixture(scope="module")
def archives(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build a source archive, and from it, not from the checkout, a wheel."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(repository)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


def package_files(repository: Path) -> set[str]:
    roots = [(repository / "src", "napari_sam2"), (repository / "model", "sam2_torch")]
    found = [(path, root) for root, package in roots for path in (root / package).rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix() for path, root in found if "__pycache__" not in path.parts}


@pytest.mark.slow
def test_the_wheel_has_both_packages_whole(archives: tuple[Path, Path], repository: Path) -> None:
    _, wheel = archives
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert len(names) == len(set(names))
    assert set(names) == package_files(repository)
    assert wheel.stat().st_size < LARGEST_FILE


@pytest.mark.slow
def test_the_wheel_has_the_manifest_itself_and_not_a_link(archives: tuple[Path, Path], repository: Path) -> None:
    _, wheel = archives
    assert zipfile.ZipFile(wheel).read("napari_sam2/napari.yaml") == (repository / "napari.yaml").read_bytes()


@pytest.mark.slow
def test_the_source_archive_has_weights_licence_and_tests(archives: tuple[Path, Path], repository: Path) -> None:
    sdist, _ = archives
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    weights = {path.relative_to(repository).as_posix() for path in repository.glob("model/sam2_torch/weights/*.*")}
    assert {"LICENSE", "napari.yaml", "pyproject.toml", "tests/conftest.py", *weights} <= names
    assert not [name for name in names if name.startswith((".venv", "demo-output", "runs"))]


def test_the_licence_is_installed() -> None:
    assert [path for path in files("napari-sam2") or [] if path.match("licenses/LICENSE")]
