"""Downloads with the real pooch from a local HTTP server: success, wrong content, cut transfers, errors, archives."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import shutil
import socket
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gtn_core.errors import DataError
from gtn_sl.data import cifar10, download, mnist
from gtn_sl.data.cifar10 import load_cifar10
from gtn_sl.data.cifar_binary import RECORD_BYTES
from gtn_sl.data.mnist import load_mnist
from gtn_sl.data.tasks import load_task

NAMES = tuple(mnist.MNIST_MD5)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder; ``/cut/NAME`` announces the whole length of NAME but sends only half of it."""

    def do_GET(self) -> None:
        if not self.path.startswith("/cut/"):
            super().do_GET()
            return
        content = (Path(self.directory) / self.path.removeprefix("/cut/")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""


class FileServer:
    """A running server: files put into ``folder`` are served below ``url``."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}/"


@pytest.fixture
def file_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A real HTTP server on 127.0.0.1, serving a fresh folder."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield FileServer(folder, server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.fixture
def tiny_mnist(file_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """A server with four tiny idx files; the loader's URL and md5 sums are patched to match."""
    for name, shape in zip(NAMES, [(3, 28, 28), (3,), (2, 28, 28), (2,)], strict=True):
        header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
        content = gzip.compress(header + bytes(i % 10 for i in range(int(np.prod(shape)))), mtime=0)
        (file_server.folder / name).write_bytes(content)
        monkeypatch.setitem(mnist.MNIST_MD5, name, hashlib.md5(content).hexdigest())
    monkeypatch.setitem(download.BASE_URLS, "mnist", file_server.url)
    return file_server


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_missing_files_are_downloaded_only_once(tiny_mnist: FileServer, tmp_path: Path) -> None:
    home = tmp_path / "data"
    raw = load_mnist(home, True)
    assert raw.train_labels.tolist() == [0, 1, 2]
    assert raw.train_images.shape == (3, 1, 28, 28)
    assert raw.test_images[1, 0, 0, :2].tolist() == [4, 5]
    assert leftovers(home) == sorted(NAMES)
    for name in NAMES:
        (tiny_mnist.folder / name).unlink()
    np.testing.assert_array_equal(load_mnist(home, True).train_images, raw.train_images)


def test_progress_bar_is_shown_only_on_terminal(
    tiny_mnist: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load_mnist(tmp_path / "piped", True)
    assert "100%" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    load_mnist(tmp_path / "terminal", True)
    assert capsys.readouterr().err.count("100%") >= len(NAMES)


def test_only_missing_files_are_downloaded(tiny_mnist: FileServer, tmp_path: Path) -> None:
    home = tmp_path / "data"
    (home / "mnist").mkdir(parents=True)
    for name in NAMES[:3]:
        shutil.move(tiny_mnist.folder / name, home / "mnist" / name)
    assert load_mnist(home, True).test_labels.tolist() == [0, 1]


def test_download_with_wrong_hash_is_not_kept(tiny_mnist: FileServer, tmp_path: Path) -> None:
    (tiny_mnist.folder / NAMES[2]).write_bytes(b"an error page with status 200")
    found = hashlib.md5(b"an error page with status 200").hexdigest()
    with pytest.raises(DataError) as caught:
        load_mnist(tmp_path / "data", True)
    message = str(caught.value)
    assert message.startswith(
        f"cannot fetch {tmp_path / 'data' / 'mnist' / NAMES[2]} from {tiny_mnist.url}{NAMES[2]}: "
    )
    assert mnist.MNIST_MD5[NAMES[2]] in message
    assert found in message
    assert "\n" not in message
    assert leftovers(tmp_path / "data") == sorted(NAMES[:2])


def test_interrupted_transfer_leaves_no_file(
    tiny_mnist: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(download.BASE_URLS, "mnist", tiny_mnist.url + "cut/")
    with pytest.raises(DataError, match="the download was cut off; pass --data-dir DIR"):
        load_mnist(tmp_path / "data", True)
    assert leftovers(tmp_path / "data") == []


def test_http_error_is_reported(tiny_mnist: FileServer, tmp_path: Path) -> None:
    (tiny_mnist.folder / NAMES[0]).unlink()
    with pytest.raises(DataError, match="HTTP error 404 Client Error: File not found; pass --data-dir DIR"):
        load_mnist(tmp_path / "data", True)
    assert leftovers(tmp_path / "data") == []


def test_connection_error_names_file_url_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unheard:  # bound but not listening: connections are refused at once
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setitem(download.BASE_URLS, "mnist", url)
        with pytest.raises(DataError) as caught:
            load_mnist(tmp_path, True)
    files = ", ".join(f"mnist/{name}" for name in NAMES)
    assert str(caught.value) == (
        f"cannot fetch {tmp_path / 'mnist' / NAMES[0]} from {url}{NAMES[0]}: no connection; "
        f"pass --data-dir DIR (or set GTN_DATA_DIR=DIR), where DIR holds {files}"
    )


def test_data_folder_that_cannot_be_created_raises_data_error(tiny_mnist: FileServer, tmp_path: Path) -> None:
    blocker = tmp_path / "data"
    blocker.write_text("a file, not a folder")
    with pytest.raises(DataError, match=f"^cannot fetch {blocker}/mnist/{NAMES[0]} from {tiny_mnist.url}"):
        load_mnist(blocker, True)


def test_environment_variable_sets_data_folder(
    tiny_mnist: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GTN_DATA_DIR", str(tmp_path / "named"))
    load_mnist(None, True)
    assert leftovers(tmp_path / "named") == sorted(NAMES)


def test_published_mnist_files_download_and_load(
    data_dir: Path, file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        (file_server.folder / name).symlink_to((data_dir / "mnist" / name).resolve())
    monkeypatch.setitem(download.BASE_URLS, "mnist", file_server.url)
    data = load_task("mnist", tmp_path / "data")
    assert len(data.train) == 55_000
    assert leftovers(tmp_path / "data") == sorted(NAMES)


def batch(first_pixel: int) -> bytes:
    """Twenty records, two of each class, whose every pixel is ``first_pixel`` plus the label."""
    return b"".join(bytes([i % 10]) + bytes([first_pixel + i % 10]) * (RECORD_BYTES - 1) for i in range(20))


def tar_gz(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


CIFAR_NAMES = cifar10.TRAIN_FILES + cifar10.TEST_FILES
CIFAR_MEMBERS = {f"cifar-10-batches-bin/{name}": batch(20 * i) for i, name in enumerate(CIFAR_NAMES)}


def serve_cifar(server: FileServer, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (server.folder / cifar10.ARCHIVE).write_bytes(archive)
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", 20)
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", hashlib.md5(archive).hexdigest())
    monkeypatch.setitem(download.BASE_URLS, "cifar10", server.url)


def test_cifar_archive_is_downloaded_unpacked_and_kept(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar(file_server, tar_gz(CIFAR_MEMBERS), monkeypatch)
    home = tmp_path / "data"
    raw = load_cifar10(home, True)
    assert raw.train_images.shape == (100, 3, 32, 32)
    assert raw.train_images[::20, 0, 0, 0].tolist() == [0, 20, 40, 60, 80]
    assert (raw.test_images[3] == 103).all()
    assert raw.test_labels[:4].tolist() == [0, 1, 2, 3]
    assert leftovers(home) == sorted([cifar10.ARCHIVE, *CIFAR_NAMES])

    (file_server.folder / cifar10.ARCHIVE).unlink()
    (home / cifar10.FOLDER / "data_batch_3.bin").unlink()
    np.testing.assert_array_equal(load_cifar10(home, False).train_images, raw.train_images)


def test_only_batch_files_are_extracted_from_archive(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = {
        "../escaped.bin": b"x",
        str(tmp_path / "absolute.bin"): b"x",
        "cifar-10-batches-bin/../../escaped.bin": b"x",
        "cifar-10-batches-bin/readme.html": b"x",
        "data_batch_1.bin": b"x",
    }
    serve_cifar(file_server, tar_gz(evil | CIFAR_MEMBERS), monkeypatch)
    load_cifar10(tmp_path / "data", True)
    assert leftovers(tmp_path / "data") == sorted([cifar10.ARCHIVE, *CIFAR_NAMES])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "served"]


@pytest.mark.parametrize("wrong", [batch(0)[:-1], batch(0) + b"\0"], ids=["short", "long"])
def test_archive_with_batch_of_wrong_size_is_rejected(
    wrong: bytes, file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar(file_server, tar_gz(CIFAR_MEMBERS | {"cifar-10-batches-bin/test_batch.bin": wrong}), monkeypatch)
    with pytest.raises(
        DataError, match=f"expected cifar-10-batches-bin/test_batch.bin of {20 * RECORD_BYTES} bytes in it"
    ):
        load_cifar10(tmp_path / "data", True)
    assert "test_batch.bin" not in leftovers(tmp_path / "data")


def test_symlink_in_archive_is_not_followed(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        tar.addfile(link)
    serve_cifar(file_server, buffer.getvalue(), monkeypatch)
    with pytest.raises(DataError, match=r"is damaged: expected .*test_batch\.bin of"):
        load_cifar10(tmp_path / "data", True)
    assert leftovers(tmp_path / "data") == [cifar10.ARCHIVE]


def test_truncated_archive_leaves_no_partial_batch(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = {name: np.random.default_rng(0).bytes(len(content)) for name, content in CIFAR_MEMBERS.items()}
    archive = tar_gz(noise)
    serve_cifar(file_server, archive[: len(archive) // 2], monkeypatch)
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz is damaged: not a complete tar\.gz"):
        load_cifar10(tmp_path / "data", True)
    kept = leftovers(tmp_path / "data" / cifar10.FOLDER)
    assert kept == ["data_batch_1.bin", "data_batch_2.bin"]
    assert (tmp_path / "data" / cifar10.FOLDER / kept[-1]).stat().st_size == 20 * RECORD_BYTES


def test_archive_in_data_folder_with_wrong_md5_is_rejected(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar(file_server, tar_gz(CIFAR_MEMBERS), monkeypatch)
    (tmp_path / cifar10.ARCHIVE).write_bytes(b"not it")
    with pytest.raises(DataError, match=f"expected md5 {cifar10.ARCHIVE_MD5}, found .*--download cifar10"):
        load_cifar10(tmp_path, True)
