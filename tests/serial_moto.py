"""moto's S3 server, one write at a time: `python serial_moto.py PORT`.

moto answers each request in a separate thread. It compares If-None-Match or If-Match first and stores later, without a
lock, so that sometimes two of several conditional writes succeed. S3 lets only one succeed, and tests of exclusive
writes need the same from their server.
"""

import sys
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class OneWriteAtATime:
    """A WSGI application that answers writes one after another, and reads concurrently."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """The WSGI interface. When it returns, moto has stored the data."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._application(environ, start_response)
        with self._lock:
            return self._application(environ, start_response)


if __name__ == "__main__":
    application = OneWriteAtATime(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=MotoRequestHandler)
