"""Downloads through pooch: the md5 is checked before a file gets its name, and a failure is one clear line."""

from __future__ import annotations

import sys
from pathlib import Path

import pooch  # type: ignore[import-untyped]
import requests

from gtn_core.errors import DataError
from gtn_sl.data.folder import ENV_VAR
from gtn_sl.data.integrity import get_command

BASE_URLS = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "cifar10": "https://www.cs.toronto.edu/~kriz/",
}
"""Task name -> URL of the folder that its files are downloaded from; each ends in a slash."""

TIMEOUT_S = 30.0


def absent(task: str, path: Path, needed: str) -> DataError:
    """Returns the error for a file that is missing and may not be downloaded; arguments as for ``fetch``."""
    return DataError(f"{path} does not exist; run {get_command(task)}, or {_by_hand(needed)}")


def fetch(task: str, md5: str, path: Path, needed: str) -> None:
    """Downloads ``BASE_URLS[task] + path.name`` to ``path``.

    pooch writes to a temporary name and renames only if the md5 matches, so ``path`` is complete or absent.

    Args:
        task: Name of the task.
        md5: The published md5 of the file.
        path: Where to put it; missing folders are created.
        needed: Every file that the task needs, relative to the data folder, in words for the error message.

    Raises:
        DataError: The download failed.
    """
    url = BASE_URLS[task] + path.name
    pooch.get_logger().handlers.clear()  # its lines go to our handlers, and are silent in quiet mode
    pooch.get_logger().propagate = True
    # The default chunk of 1 KiB flushes the file 170,000 times for CIFAR-10.
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=1 << 16, timeout=TIMEOUT_S)
    try:
        pooch.retrieve(url, known_hash=f"md5:{md5}", fname=path.name, path=path.parent, downloader=downloader)
    except (OSError, ValueError) as error:  # requests' own errors are OSErrors; a wrong hash is a ValueError
        raise DataError(f"cannot fetch {path} from {url}: {_reason(error)}; {_by_hand(needed)}") from error


def _by_hand(needed: str) -> str:
    return f"pass --data-dir DIR (or set {ENV_VAR}=DIR), where DIR holds {needed}"


def _reason(error: Exception) -> str:
    """Returns why a download failed, in one line; urllib3's own messages name its objects, not the cause."""
    match error:
        case requests.exceptions.HTTPError():
            return "HTTP error " + str(error).split(" for url")[0]
        case requests.exceptions.Timeout():
            return f"no answer within {TIMEOUT_S:.0f} s"
        case requests.exceptions.ChunkedEncodingError():
            return "the download was cut off"
        case requests.exceptions.ConnectionError():
            return "no connection"
    return " ".join(str(error).split())
