"""One file from the network: checked, whole or not there at all, and never a hang."""

import hashlib
import http.client
import logging
import os
import queue
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pegboard.console import plain
from pegboard.errors import DataError

logger = logging.getLogger("pegboard")

CHUNK = 1 << 18  # bytes
MOST_UNPACKED = 4 << 30  # bytes of an archive's files; CIFAR-10 has 0.2 of these 4 GiB
MOST_FILES = 1_000_000  # in an archive


def fetch(url: str, to: Path, *, md5: str | None = None, sha256: str | None = None, timeout: float = 5.0) -> None:
    """Download ``url`` to the file ``to``, whose folder exists; what stood there before is replaced in one step.

    A progress bar is shown on a terminal, else one line is logged. The data goes to a file of another name beside
    ``to``, unique to this process, which is gone afterwards whatever happens.

    Args:
        md5, sha256: the checksums that the file must have, in hexadecimal.
        timeout: seconds that the server may take to begin its answer, and then to send each further piece.

    Raises:
        DataError: the network, the server, the disk or a checksum said no; the message names the URL.
    """
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        with _open(url, timeout) as response, part.open("wb") as file:
            _copy(response, file, url, md5=md5, sha256=sha256)
        part.replace(to)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{url}: cannot be downloaded: {error or type(error).__name__}") from error
    finally:
        part.unlink(missing_ok=True)


def unpack(archive: Path, to: Path) -> None:
    """Unpack a tar archive, compressed or not, to the folder ``to``; nothing is written anywhere else.

    Raises:
        DataError: it holds more than a data set of this kind can.
        tarfile.TarError: it is damaged, or a path or a link in it leads out.
    """
    claimed = 0
    with tarfile.open(archive) as tar:
        for count, member in enumerate(tar, 1):
            claimed += member.size  # as its header says, before its content is read
            if claimed > MOST_UNPACKED or count > MOST_FILES:
                raise DataError(f"the archive holds more than {MOST_UNPACKED >> 30} GiB or {MOST_FILES:,} files")
        tar.extractall(to, filter="data")


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    """The server's answer, its body unread.

    A socket's timeout bounds neither the look-up of the host's name nor the sum of several tries, and without a network
    the look-up alone can take half a minute. So a thread opens the connection, and is left behind when it is late.
    """
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=timeout))
        except (OSError, ValueError, http.client.HTTPException) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name=f"open {url}").start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"no answer within {timeout:g} seconds") from None
    if isinstance(answer, ValueError):
        raise DataError(f"{url}: is no URL ({answer}); expected https://... or http://...") from answer
    if isinstance(answer, urllib.error.HTTPError):
        answer.close()  # it is the server's page about the error, too
    if type(answer) is urllib.error.URLError and isinstance(answer.reason, OSError):
        raise answer.reason  # urllib only wraps it
    if isinstance(answer, Exception):
        raise answer
    return answer


def _copy(
    response: http.client.HTTPResponse, file: IO[bytes], url: str, *, md5: str | None, sha256: str | None
) -> None:
    """Write the body to ``file`` and to the disk; compare its length and checksums with what was promised."""
    promised = response.headers.get("Content-Length")
    total = int(promised) if promised is not None else None
    digests = {"MD5": (hashlib.md5(usedforsecurity=False), md5), "SHA-256": (hashlib.sha256(), sha256)}
    received = 0
    with _progress(url, total) as advance:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            for digest, _ in digests.values():
                digest.update(chunk)
            received += len(chunk)
            advance(len(chunk))
    if total is not None and received != total:
        raise DataError(f"{url}: the download ended after {received:,} of {total:,} bytes")
    for name, (digest, expected) in digests.items():
        if expected is not None and digest.hexdigest() != expected.lower():
            raise DataError(f"{url}: the file has {name} {digest.hexdigest()}, expected {expected}: not the file meant")
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _progress(url: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function that is told how many more bytes have come."""
    if not sys.stderr.isatty():
        logger.info("downloading %s%s", url, "" if total is None else f" ({total / 1e6:.1f} MB)")
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(plain(url.rsplit("/", 1)[-1]), total=total)
        yield lambda count: progress.advance(task, count)
