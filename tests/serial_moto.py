"""moto's S3 server, one write at a time: `python serial_moto.py PORT`.

moto answers each request in a thread of its own. It compares If-None-Match or If-Match first and stores later, without
a lock between, so that now and then two of several conditional writes succeed: a race that S3 decides. Whoever asks
whether our writes exclude each other needs a server that excludes them.
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
    """A WSGI application that answers writes one after another, and reads meanwhile."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """As of WSGI; moto has stored what it was sent when this returns."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._application(environ, start_response)
        with self._lock:
            return self._application(environ, start_response)


if __name__ == "__main__":
    application = OneWriteAtATime(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=MotoRequestHandler)
