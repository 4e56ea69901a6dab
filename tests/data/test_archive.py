from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neurodyn.data import catalogue
from neurodyn.data.archive import Archive, Source, folder_of
from tests.data.files import tar_of, zip_of

CONTENT = bytes(range(256)) * 200


class Server:
    """Files served on this machine; `broken` ones stop half-way, though they promise all."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                content = server.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                half = self.path in server.broken
                self.wfile.write(content[: len(content) // 2] if half else content)

            def log_message(self, *_args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


def source(*mirrors: str, checksum: str | None = None) -> Source:
    archive = Archive("train.gz", checksum or md5(CONTENT))
    return Source("Something", "some/raw", mirrors, (archive,))


def checked(root: Path, content: bytes) -> Source:
    path = root / "some" / "raw" / "train"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    archive = Archive("all.tar.gz", md5(b""), ("train",))
    digest = md5(CONTENT).removeprefix("md5:")
    return Source(
        "Something",
        "some/raw",
        ("http://mirror/",),
        (archive,),
        md5={"train": (digest, len(CONTENT) - 100)},
    )


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_download(server: Server, tmp_path: Path) -> None:
    server.files["/train.gz"] = CONTENT
    source(server.url).fetch(tmp_path)
    assert files_below(tmp_path) == ["some/raw/train.gz"]
    assert source().find(tmp_path, "train").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["train", "train.gz"])
def test_what_is_there_is_not_downloaded(server: Server, tmp_path: Path, name: str) -> None:
    path = tmp_path / "some" / "raw" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    source(server.url).fetch(tmp_path)
    assert server.asked == []
    assert path.read_bytes() == b"mine"


def test_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/train.gz"] = CONTENT[:-1] + b"!"
    with pytest.raises(OSError, match=r"could not download train\.gz; .*hash") as error:
        source(server.url).fetch(tmp_path)
    assert f"{server.url}train.gz" in str(error.value)
    assert [path for path in tmp_path.rglob("*") if path.name != "raw"] == [tmp_path / "some"]


# Without its checksum to catch it, a half file must still be noticed: the promised length tells.
@pytest.mark.parametrize("checksum", [md5(CONTENT), md5(CONTENT[: len(CONTENT) // 2])])
def test_broken_off_transfer_leaves_nothing(server: Server, tmp_path: Path, checksum: str) -> None:
    server.files["/train.gz"] = CONTENT
    server.broken.add("/train.gz")
    with pytest.raises(OSError, match=r"could not download train\.gz"):
        source(server.url, checksum=checksum).fetch(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.name != "raw"] == [tmp_path / "some"]


def test_second_mirror_helps_out(server: Server, tmp_path: Path) -> None:
    server.files["/b/train.gz"] = CONTENT
    source(f"{server.url}a/", f"{server.url}b/").fetch(tmp_path)
    assert server.asked == ["/a/train.gz", "/b/train.gz"]
    assert files_below(tmp_path) == ["some/raw/train.gz"]


def test_every_mirror_that_failed_is_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"/a/train\.gz: 404.*/b/train\.gz: 404"):
        source(f"{server.url}a/", f"{server.url}b/").fetch(tmp_path)


def test_archive_gives_its_members_and_nothing_else(server: Server, tmp_path: Path) -> None:
    content = tar_of(batches__one=b"1", batches__two=b"2", batches__other=b"3", elsewhere=b"4")
    server.files["/all.tar.gz"] = content
    archive = Archive("all.tar.gz", md5(content), ("one", "two"))
    packed = Source("Batches", "batches", (server.url,), (archive,))
    one = tmp_path / "batches" / "one"
    one.parent.mkdir()
    one.write_bytes(b"stays unless the set is incomplete")
    packed.fetch(tmp_path)
    assert files_below(tmp_path) == ["batches/one", "batches/two"]
    assert one.read_bytes() == b"1"
    packed.fetch(tmp_path)
    assert server.asked == ["/all.tar.gz"]


def test_archive_cannot_write_elsewhere(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        link = tarfile.TarInfo("batches/one")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    server.files["/all.tar.gz"] = buffer.getvalue()
    archive = Archive("all.tar.gz", md5(buffer.getvalue()), ("one",))
    with pytest.raises(ValueError, match=r"all\.tar\.gz: expected batches/one to be a file"):
        Source("Batches", "batches", (server.url,), (archive,)).fetch(tmp_path)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("all.tar.gz", b"junk" * 500, "file could not be opened"),
        ("all.tar.gz", tar_of(batches__one=CONTENT)[:-500], "end-of-stream|unexpected end"),
        ("all.tar.gz", tar_of(batches__two=b"2"), "'batches/one' not found"),
        ("all.zip", b"junk", "File is not a zip file"),
        ("all.zip", zip_of(two=b"2"), "no item named 'one'"),
        ("all.zip", zip_of(one=CONTENT).replace(b"PK\x01\x02", b"PK??"), "Bad magic number"),
    ],
    # Archives hold the time at which they were made, so their bytes differ between workers.
    ids=["junk.tar.gz", "cut.tar.gz", "other.tar.gz", "junk.zip", "other.zip", "marked.zip"],
)
def test_a_broken_archive_is_named(
    server: Server, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    server.files[f"/{name}"] = content
    archive = Archive(name, md5(content), ("one",))
    with pytest.raises(ValueError, match=rf"{name}: .*({message}).*; expected a complete archive"):
        Source("Batches", "batches", (server.url,), (archive,)).fetch(tmp_path)
    assert files_below(tmp_path) == []


def test_links_in_an_archive_lead_nowhere(server: Server, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        link = tarfile.TarInfo("batches/one_more")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        for name in ("batches/one_more/evil", "../outside/evil", "batches/one"):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    server.files["/all.tar.gz"] = buffer.getvalue()
    archive = Archive("all.tar.gz", md5(buffer.getvalue()), ("one",))
    Source("Batches", "batches", (server.url,), (archive,)).fetch(root)
    assert files_below(tmp_path) == ["root/batches/one"]


def test_names_in_a_zip_lead_nowhere(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in ("one.h5", "../one.h5", "../../one.h5", "/one.h5"):
            packed.writestr(name, name)
    server.files["/one.zip"] = buffer.getvalue()
    archive = Archive("one.zip", md5(buffer.getvalue()), ("one.h5",))
    Source("Zipped", "zipped", (server.url,), (archive,)).fetch(tmp_path / "root")
    assert files_below(tmp_path) == ["root/zipped/one.h5"]
    assert (tmp_path / "root" / "zipped" / "one.h5").read_bytes() == b"one.h5"


KILLED = """
import os, shutil, signal, sys
from neurodyn.data.archive import Archive, Source
from tests.data.files import tar_of, zip_of

def half(content, file):
    file.write(content.read(1000))
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

shutil.copyfileobj = half
root, url, checksum = sys.argv[1:]
archive = Archive("all.tar.gz", checksum, ("one", "two"))
Source("Batches", "batches", (url,), (archive,)).fetch(root)
"""


def test_killed_while_unpacking(server: Server, tmp_path: Path) -> None:
    content = tar_of(batches__one=CONTENT, batches__two=CONTENT)
    server.files["/all.tar.gz"] = content
    command = [sys.executable, "-c", KILLED, str(tmp_path), server.url, md5(content)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    packed = Source(
        "Batches", "batches", (server.url,), (Archive("all.tar.gz", md5(content), ("one", "two")),)
    )
    assert files_below(tmp_path), "what it had begun, under another name"
    with pytest.raises(FileNotFoundError):
        packed.find(tmp_path, "one")
    packed.fetch(tmp_path)
    assert packed.find(tmp_path, "one").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("source", "name", "advice"),
    [
        (
            catalogue.MNIST,
            "train-images-idx3-ubyte",
            "Get https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz "
            "and put it into {root}/MNIST/raw.",
        ),
        (
            catalogue.CIFAR10,
            "data_batch_1",
            "Get https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz and unpack it in {root}/.",
        ),
    ],
)
def test_missing_file_says_what_to_do(
    tmp_path: Path, source: Source, name: str, advice: str
) -> None:
    with pytest.raises(FileNotFoundError) as error:
        source.find(tmp_path, name)
    message = str(error.value)
    assert message.startswith(f"{source.title}: looked for {tmp_path / source.folder / name} ")
    assert advice.format(root=tmp_path) in message
    assert "--data.download true" in message


def test_plain_file_is_preferred_to_the_packed_one(tmp_path: Path) -> None:
    raw = tmp_path / "some" / "raw"
    raw.mkdir(parents=True)
    (raw / "train.gz").touch()
    assert source().find(tmp_path, "train") == raw / "train.gz"
    (raw / "train").touch()
    assert source().find(tmp_path, "train") == raw / "train"


def test_root_is_expanded_and_must_not_be_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder_of("~/data") == tmp_path / "data"
    (tmp_path / "data").touch()
    with pytest.raises(
        NotADirectoryError, match=f"root: expected a folder, got the file {tmp_path}"
    ):
        folder_of("~/data")


def test_zip_gives_its_members(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("one.h5", b"1")
        packed.writestr("other.h5", b"2")
    server.files["/one.zip"] = buffer.getvalue()
    archive = Archive("one.zip", md5(buffer.getvalue()), ("one.h5",))
    Source("Zipped", "zipped", (server.url,), (archive,)).fetch(tmp_path)
    assert files_below(tmp_path) == ["zipped/one.h5"]


def test_what_cannot_be_downloaded_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"did not find it\. Ask around\. Or name") as error:
        Source("Rare", "rare", advice="Ask around.").find(tmp_path, "file")
    assert "--data.download" not in str(error.value)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"!", CONTENT + b"!", CONTENT[:-1]])
def test_a_damaged_file_is_not_read(tmp_path: Path, cache: Path, content: bytes) -> None:
    damaged = checked(tmp_path, content)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"damaged or another one\. Remove it\. Get") as error:
            damaged.find(tmp_path, "train")
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'some' / 'raw' / 'train'}: found md5 ")
    for digest in (md5(content), md5(CONTENT)):
        assert digest.removeprefix("md5:") in message
    assert "http://mirror/all.tar.gz" in message


def test_a_file_is_verified_once_and_again_when_it_changes(tmp_path: Path, cache: Path) -> None:
    whole = checked(tmp_path, CONTENT)
    path = whole.find(tmp_path, "train")
    assert len(list((cache / "verified").iterdir())) == 1
    stamp = path.stat().st_mtime_ns
    path.write_bytes(CONTENT[:-1] + b"!")
    os.utime(path, ns=(stamp, stamp))
    assert whole.find(tmp_path, "train") == path, "not read again"
    os.utime(path, ns=(stamp, stamp + 1))
    with pytest.raises(ValueError, match="found md5"):
        whole.find(tmp_path, "train")


def test_a_smaller_file_is_somebodys_own(tmp_path: Path, cache: Path) -> None:
    own = checked(tmp_path, CONTENT[:-101])
    assert own.find(tmp_path, "train").read_bytes() == CONTENT[:-101]


def test_files_are_verified_where_nothing_can_be_remembered(tmp_path: Path, cache: Path) -> None:
    cache.touch()
    checked(tmp_path, CONTENT).find(tmp_path, "train")
