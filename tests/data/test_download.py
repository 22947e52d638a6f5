import http.server
import socket
import threading
import time

import pytest

from zeroone_jax.data.download import UnavailableError, download


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /whole and /short, and knows nothing else."""

    def do_GET(self):
        if self.path not in ("/whole", "/short"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", "600000")
        self.end_headers()
        self.wfile.write(b"x" * (600_000 if self.path == "/whole" else 1_000))

    def log_message(self, *arguments):
        del arguments


@pytest.fixture(scope="module")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_whole(address, tmp_path):
    told = []
    download(f"{address}/whole", tmp_path / "file", lambda *state: told.append(state))
    assert (tmp_path / "file").read_bytes() == b"x" * 600_000
    assert told[-1] == (f"fetching {address}/whole", 600_000, 600_000)
    assert len(told) > 1


@pytest.mark.parametrize(
    ("path", "message"),
    [("/short", "broke off after 1000 of 600000"), ("/none", "does not answer.*404")],
)
def test_failures(address, tmp_path, path, message):
    with pytest.raises(UnavailableError, match=message):
        download(address + path, tmp_path / "file", lambda *state: None)


def test_nobody_listens(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match="does not answer"):
            download(f"http://127.0.0.1:{port}/", tmp_path / "file", lambda *_: None)


def test_a_silent_host_costs_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr("zeroone_jax.data.download.CONNECT_SECONDS", 0.1)
    with socket.socket() as deaf:
        # A full queue of connections leaves the next one without an answer.
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        start = time.monotonic()
        with pytest.raises(UnavailableError, match="timed out"):
            download(f"http://127.0.0.1:{address[1]}/", tmp_path / "f", lambda *_: None)
        assert time.monotonic() - start < 5
        for client in waiting:
            client.close()
