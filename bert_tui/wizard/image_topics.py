"""What an image is, how it comes here, and what to do without internet."""

from __future__ import annotations

TOPICS: dict[str, tuple[str, str]] = {
    "image": (
        "The container image",
        "A container is started from an image: files with PyTorch and all it needs, the same on every machine. It has "
        "to be fetched once; NVIDIA's have about 20 GB. The proposed one is the newest that this machine's driver can "
        "run. You may name another: it needs python3 with torch, numpy and tensorboard.\n\n"
        "An image consists of layers. Each is downloaded, then unpacked; several come at a time. Fetching goes on when "
        "you leave this page or the line drops, and this page finds it again. F6 ends it.\n\n"
        "Without internet: on another machine with Docker type 'docker pull IMAGE' and 'docker save -o image.tar "
        "IMAGE', bring the file here by scp or on a disk, and press F5. The other machine must have the same kind of "
        "processor; gzip and zstd make the file smaller, and such files can be loaded as they are.",
    ),
    "image-cancel": (
        "Ending a fetch",
        "Docker drops what has not come whole. Leaving the page ends nothing: the fetch goes on in the background.",
    ),
}
"""What F1 tells about them."""
