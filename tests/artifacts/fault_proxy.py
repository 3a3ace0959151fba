"""A proxy on loopback that forwards requests to an S3 server, with planned faults."""

import socket
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Timer
from time import sleep
from urllib.parse import urlsplit

CODES = {403: "AccessDenied", 409: "ConditionalRequestConflict", 412: "PreconditionFailed", 503: "SlowDown"}
_DELAY_S = 0.05
_LATE_S = 0.3  # longer than the client needs to retry and continue
_HOP_BY_HOP = ("connection", "content-length", "transfer-encoding")


class FaultProxy(ThreadingHTTPServer):
    """Serves until shutdown."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.faults: list[int | str | None] = []
        """The faults of the next requests, in turn, then none: an HTTP status is answered without passing the
        request on; `drop`: closed without an answer; `lost`: the same, but the request is passed on; `late`: the same,
        but only after a while; `refused`: the request is passed on, and 412 is answered, naming the condition; `delay`:
        it is passed on after a while; `cut`: half of the answer's body is sent; None: nothing."""
        self.requests: list[str] = []
        """The methods of the requests."""
        self.late: list[Timer] = []
        """Forwards requests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self, method: str, path: str, headers: Message) -> int | str | None:
        """The fault of this request."""
        return self.faults.pop(0) if self.faults else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultProxy

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(self.command)
        fault = self.server.next_fault(self.command, self.path, self.headers)
        if isinstance(fault, int):
            self._refuse(fault)
        elif fault == "drop":
            self._hang_up()
        elif fault == "late":
            self.server.late.append(Timer(_LATE_S, self._ask, [body]))
            self.server.late[-1].start()
            self._hang_up()
        else:
            sleep(_DELAY_S if fault == "delay" else 0)
            self._pass_on(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _relay

    def _refuse(self, status: int, condition: str = "") -> None:
        code = CODES.get(status, "Fault")
        self._answer(status, {}, f"<Error><Code>{code}</Code><Message>{code}</Message>{condition}</Error>".encode())

    def _ask(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(self.server.upstream)
        connection.request(self.command, self.path, body, dict(self.headers))
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response, answer

    def _pass_on(self, body: bytes, fault: str | None) -> None:
        response, answer = self._ask(body)
        if fault == "lost":
            self._hang_up()
            return
        if fault == "refused":
            self._refuse(412, "<Condition>If-None-Match</Condition>")
            return
        headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
        length = response.headers.get("Content-Length") if self.command == "HEAD" else None
        self._answer(response.status, headers, answer, length, cut=fault == "cut")

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, length: str | None = None, *, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        pass
