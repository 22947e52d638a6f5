"""Fetches one file over http or https, giving up soon on a machine without network."""

import http.client
import pathlib
import urllib.request
from typing import Any

from zeroone_jax.data.progress import Progress

# A machine without network should learn it quickly; a slow server may take longer.
CONNECT_SECONDS = 3.0
READ_SECONDS = 60.0


class UnavailableError(Exception):
    """A source that has nothing to give; the message says why."""


def download(address: str, path: pathlib.Path, progress: Progress) -> None:
    """Fetches a file, and tells how much has arrived.

    Raises:
        UnavailableError: no answer, an error, or a content that breaks off.
    """
    opener = urllib.request.build_opener(_PatientHandler)
    stage = f"fetching {address}"
    try:
        with opener.open(address, timeout=CONNECT_SECONDS) as answer:
            total = int(answer.headers.get("Content-Length", 0))
            done = 0
            with path.open("wb") as file:
                while block := answer.read(1 << 18):
                    done += file.write(block)
                    progress(stage, done, total)
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{address} does not answer: {error}") from error
    if done < total:
        raise UnavailableError(f"{address} broke off after {done} of {total} bytes")


class _PatientConnection(http.client.HTTPConnection):
    """Connects within the short time-out, then waits longer for content."""

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(READ_SECONDS)


class _PatientSecureConnection(_PatientConnection, http.client.HTTPSConnection):
    """The same for https."""


class _PatientHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_PatientConnection, req)

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_PatientSecureConnection, req)
