"""A download is whole, checked, or not there at all; and it never hangs."""

import hashlib
import io
import logging
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from pegboard.errors import DataError
from pegboard_data import download
from pegboard_data.download import fetch, unpack

BODY = bytes(range(256)) * 4000  # 1 MB: several chunks


def answer_with(body, promised=None):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(promised or len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def test_a_file_arrives_whole_and_alone(serve, tmp_path, caplog):
    caplog.set_level(logging.INFO, "pegboard")
    url = serve(answer_with(BODY))
    md5, sha256 = hashlib.md5(BODY).hexdigest(), hashlib.sha256(BODY).hexdigest().upper()
    fetch(url, tmp_path / "file", md5=md5, sha256=sha256)
    assert (tmp_path / "file").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert caplog.messages == [f"downloading {url} (1.0 MB)"]


def test_a_server_need_not_say_how_long_the_file_is(serve, tmp_path):
    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(BODY)

    fetch(serve(answer), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_terminal_sees_a_progress_bar(serve, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    fetch(serve(answer_with(BODY)), tmp_path / "file")
    assert "100%" in sys.stderr.getvalue() or "1.0/1.0 MB" in sys.stderr.getvalue()


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_checksum_is_refused(serve, tmp_path, algorithm):
    expected = "0" * 32
    with pytest.raises(DataError, match=f"expected {expected}"):
        fetch(serve(answer_with(BODY)), tmp_path / "file", **{algorithm: expected})
    assert not list(tmp_path.iterdir())


def test_what_stood_there_before_survives_a_failure(serve, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(DataError):
        fetch(serve(answer_with(BODY)), tmp_path / "file", md5="0")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_truncated_body_is_refused(serve, tmp_path):
    with pytest.raises(DataError, match=r"ended after 1,024,000 of 2,000,000 bytes"):
        fetch(serve(answer_with(BODY, promised=2_000_000)), tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_server_is_named(serve, tmp_path):
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz: cannot be downloaded: .*404"):
        fetch(serve(lambda request: request.send_error(404)), tmp_path / "file")


def test_a_refused_connection_is_named(closed_port, tmp_path):
    with pytest.raises(DataError, match=r"cannot be downloaded: .*refused"):
        fetch(closed_port, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_an_unknown_host_fails_within_seconds(tmp_path):
    start = time.monotonic()
    with pytest.raises(DataError, match=r"no-such-host\.invalid"):
        fetch("http://no-such-host.invalid/file", tmp_path / "file", timeout=2)
    assert time.monotonic() - start < 4


def test_a_name_server_that_never_answers_is_not_waited_for(tmp_path, monkeypatch):
    """A socket's timeout does not reach the look-up of a name."""
    done = threading.Event()
    monkeypatch.setattr(download.urllib.request, "urlopen", lambda *_, **__: done.wait(30))
    start = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 0\.2 seconds"):
        fetch("http://example.invalid/file", tmp_path / "file", timeout=0.2)
    assert time.monotonic() - start < 2
    done.set()


@pytest.mark.parametrize("sends_a_beginning", [False, True])
def test_a_server_that_falls_silent_is_left(serve, tmp_path, sends_a_beginning):
    done = threading.Event()

    def answer(request):
        if sends_a_beginning:
            request.send_response(200)
            request.send_header("Content-Length", "1000")
            request.end_headers()
            request.wfile.write(b"a beginning")
            request.wfile.flush()
        done.wait(30)

    start = time.monotonic()
    with pytest.raises(DataError, match=r"cannot be downloaded: .*(timed out|no answer)"):
        fetch(serve(answer), tmp_path / "file", timeout=0.3)
    assert time.monotonic() - start < 3
    done.set()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["www.example.org/file", "nonsense"])
def test_what_is_no_url_is_refused(tmp_path, url):
    with pytest.raises(DataError, match=f"{url}: is no URL"):
        fetch(url, tmp_path / "file")


def test_an_interrupt_leaves_nothing(serve, tmp_path, monkeypatch):
    def interrupt(_):
        assert list(tmp_path.glob(".file.*.part"))  # it had begun
        raise KeyboardInterrupt

    monkeypatch.setattr(download.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(serve(answer_with(BODY)), tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_named(serve, tmp_path):
    with pytest.raises(DataError, match="absent"):
        fetch(serve(answer_with(BODY)), Path(tmp_path, "absent", "file"))


# -- archives --------------------------------------------------------------------------------------------------------


def packed(path, *members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            member.size = 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"harm"))
    return path


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(
    "members",
    [
        [("../outside", FILE, "")],
        [("a/../../outside", FILE, "")],
        [("link", LINK, ".."), ("link/outside", FILE, "")],
        [("link", LINK, "{root}"), ("link/outside", FILE, "")],
        [("a/link", LINK, "../../outside")],
        [("link", HARD, "../secret")],
        [("link", LINK, "../secret"), ("link", FILE, "")],
        [("fifo", tarfile.FIFOTYPE, "")],
        [("device", tarfile.CHRTYPE, "")],
    ],
    ids=lambda members: " ".join(member[0] for member in members),
)
def test_nothing_is_written_or_read_outside_of_the_folder(tmp_path, members):
    (tmp_path / "secret").write_bytes(b"secret")
    members = [(name, kind, target.format(root=tmp_path)) for name, kind, target in members]
    with pytest.raises(tarfile.TarError):
        unpack(packed(tmp_path / "a.tar.gz", *members), tmp_path / "to")
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert {path.name for path in tmp_path.iterdir()} <= {"secret", "a.tar.gz", "to"}
    assert not list((tmp_path / "to").rglob("*secret*"))


def test_absolute_paths_stay_inside(tmp_path):
    unpack(packed(tmp_path / "a.tar", (f"{tmp_path}/outside", FILE, ""), mode="w"), tmp_path / "to")
    assert not (tmp_path / "outside").exists()
    assert [path.name for path in (tmp_path / "to").rglob("*") if path.is_file()] == ["outside"]


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("zeros")
        member.size = 1 << 20
        for _ in range(8):
            tar.addfile(member, io.BytesIO(bytes(1 << 20)))
    assert (tmp_path / "bomb.tar.gz").stat().st_size < 20_000
    monkeypatch.setattr(download, "MOST_UNPACKED", 7 << 20)
    with pytest.raises(DataError, match="the archive holds more than"):
        unpack(tmp_path / "bomb.tar.gz", tmp_path / "to")
    assert not (tmp_path / "to").exists()
    monkeypatch.setattr(download, "MOST_UNPACKED", 8 << 20)
    unpack(tmp_path / "bomb.tar.gz", tmp_path / "to")
