"""A store that reports wrong lengths: no more bytes are read than requested."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from nerbench.artifacts.errors import CorruptArtifactError, NerbenchError
from nerbench.artifacts.manifest import ArtifactKey
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store

pytestmark = pytest.mark.attacks
CLAIMED = 1 << 40


class Liar(BaseHTTPRequestHandler):
    """Answers every request for an object with endless zeros or with a redirection."""

    protocol_version = "HTTP/1.1"
    elsewhere: str | None = None

    def do_HEAD(self) -> None:
        self._begin(3)

    def do_GET(self) -> None:
        if self.elsewhere:
            self.send_response(301)
            self.send_header("Location", self.elsewhere)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._begin(CLAIMED)
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            self.close_connection = True

    def _begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Liar]]:
    class Own(Liar):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("nerbench.artifacts.storage.retries.sleep", lambda seconds: None)
    yield Own
    server.shutdown()
    server.server_close()


def test_a_manifest_without_end(liar: type[Liar]) -> None:
    with pytest.raises(CorruptArtifactError, match="has more than"):
        Store("s3://bucket/a").manifest(ArtifactKey(name="toy", artifact_id="0" * 64))


def test_a_download_with_another_length_than_announced_is_refused(liar: type[Liar]) -> None:
    root = open_root("s3://bucket/a")
    assert root.part("x", 0, 10) == bytes(10)
    with pytest.raises(CorruptArtifactError, match="more bytes than its announced 3"):
        next(root.chunks("x"))


def test_a_redirection_elsewhere_is_not_followed(liar: type[Liar]) -> None:
    liar.elsewhere = "http://169.254.169.254/latest/meta-data/"
    with pytest.raises(NerbenchError):
        open_root("s3://bucket/a").part("x", 0, 10)
