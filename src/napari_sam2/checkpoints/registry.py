"""The models known by name, and where their weights come from."""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from napari_sam2.errors import CheckpointError

_META = "https://dl.fbaipublicfiles.com/segment_anything_2"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights known by name.

    Attributes
    ----------
    name
        What a person types.
    config
        Name of the `SAM2Config` that the weights must turn out to be of.
    size
        Bytes of the file as published.
    sha256
        Of the file as published, in hexadecimal; None if nobody has told it. Then a download is taken as it comes if
        it holds the tensors it should, and its hash is pinned from then on.
    url
        Where the file is published; empty for weights that come with the package.
    licence
        SPDX identifier.
    """

    name: str
    config: str
    size: int
    sha256: str | None
    url: str = ""
    licence: str = "Apache-2.0"

    @property
    def file_name(self) -> str:
        """Name of the file as published."""
        return PurePosixPath(urlsplit(self.url).path).name or f"{self.name}.safetensors"

    @property
    def bundled(self) -> Path | None:
        """The file, if it comes with the package."""
        return None if self.url else Path(str(resources.files("sam2_torch") / "weights" / self.file_name))


def _published(name: str, folder: str, stem: str, size: int, sha256: str) -> Checkpoint:
    return Checkpoint(name, stem, size, sha256, f"{_META}/{folder}/{stem}.pt")


# Addresses: the README of facebookresearch/sam2. It gives no hashes. These are the ones that micro-sam expects of the
# same addresses (micro_sam/v2/util.py), and each is told by other public projects, too, of files they had downloaded.
# We could not download one ourselves yet. The sizes, told likewise, fit the parameters of our networks (see the tests).
CHECKPOINTS = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Checkpoint("cell", "cell", 11559316, "3a422e5e00a69ff03cfdfdbf7b7dd3c589d9a858a7bd5cbf515128313b65eca8"),
        _published(
            "sam2.1-tiny",
            "092824",
            "sam2.1_hiera_tiny",
            156008466,
            "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        ),
        _published(
            "sam2.1-small",
            "092824",
            "sam2.1_hiera_small",
            184416285,
            "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        ),
        _published(
            "sam2.1-base-plus",
            "092824",
            "sam2.1_hiera_base_plus",
            323606802,
            "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        ),
        _published(
            "sam2.1-large",
            "092824",
            "sam2.1_hiera_large",
            898083611,
            "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        ),
        _published(
            "sam2-tiny",
            "072824",
            "sam2_hiera_tiny",
            155906050,
            "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
        ),
        _published(
            "sam2-small",
            "072824",
            "sam2_hiera_small",
            184309650,
            "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
        ),
        _published(
            "sam2-base-plus",
            "072824",
            "sam2_hiera_base_plus",
            323493298,
            "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
        ),
        _published(
            "sam2-large",
            "072824",
            "sam2_hiera_large",
            897952466,
            "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
        ),
    )
}
"""All models known by name; the bundled one first, which is the default."""


def find(name: str) -> Checkpoint:
    """The checkpoint of that name.

    Raises
    ------
    CheckpointError
        If there is none; with the names there are.
    """
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    likely = get_close_matches(name.lower(), CHECKPOINTS, n=1)
    raise CheckpointError(
        f"There is no model {name!r}.{f' Did you mean {likely[0]!r}?' if likely else ''} Choose one of "
        f"{', '.join(CHECKPOINTS)}, or give the path of a .safetensors or .pt file."
    )


def megabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:.0f} MB"
