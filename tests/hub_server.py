"""A fake Hugging Face Hub on loopback, with the parts of the protocol for publishing and loading models.

These tests never reach the real Hub. The format of the answers was derived from the client that parses them.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import yaml
from hub_repo import Repo, git_digest, is_large, object_id, sha256

TOKEN = "hf_testing"
_REPO = r"(?P<repo>([\w.-]+/)?[\w.-]+)"


class Reply(NamedTuple):
    """The answer to a request."""

    status: int = 200
    body: Any = b""
    """Bytes, or values that are sent as JSON."""
    headers: Mapping[str, str] = MappingProxyType({})


@dataclass
class FakeHub:
    """The repositories, requests and planned faults of the server."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    """Large files that were uploaded, by sha256."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, Callable[[Callable[[], Reply]], Reply]]] = field(default_factory=list)
    """Each one serves one request whose `METHOD path` matches the pattern; it may call the server."""
    tampered: dict[str, bytes] = field(default_factory=dict)
    """Files that are served with other bytes than their digests, by path."""
    lock: RLock = field(default_factory=RLock)

    def fail(self, pattern: str, status: int) -> None:
        """Refuse one request."""
        self.faults.append((pattern, lambda serve: Reply(status, {"error": f"status {status}"})))

    def lose_reply(self, pattern: str) -> None:
        """Serve one request, and answer as if that had failed."""

        def lose(serve: Callable[[], Reply]) -> Reply:
            serve()
            return Reply(503, {"error": "lost"})

        self.faults.append((pattern, lose))

    def count(self, pattern: str) -> int:
        """Requests so far whose `METHOD path` matches."""
        return sum(bool(re.search(pattern, " ".join(request))) for request in self.requests)

    def answer(self, method: str, path: str, body: bytes, token: str | None) -> Reply:
        with self.lock:
            self.requests.append((method, path))

            def serve() -> Reply:
                return self._route(method, path, body, token)

            for number, (pattern, fault) in enumerate(self.faults):
                if re.search(pattern, f"{method} {path}"):
                    del self.faults[number]
                    return fault(serve)
            return serve()

    def _route(self, method: str, path: str, body: bytes, token: str | None) -> Reply:
        may_write = token == TOKEN
        for pattern, handler in (
            ("POST /api/repos/create", self._create),
            ("POST /api/validate-yaml", self._validate),
            (f"POST /api/models/{_REPO}/preupload/(?P<revision>[^/]+)", self._preupload),
            (f"POST /{_REPO}.git/info/lfs/objects/batch", self._batch),
            (f"POST /api/models/{_REPO}/commit/(?P<revision>[^/]+)", self._commit),
            (f"PUT /api/models/{_REPO}/settings", self._settings),
            ("PUT /uploads/(?P<oid>[0-9a-f]{64})", self._upload),
            (f"GET /api/models/{_REPO}(/revision/(?P<revision>[^/]+))?", self._info),
            (f"GET /api/models/{_REPO}/tree/(?P<revision>[^/]+)", self._tree),
            (f"(GET|HEAD) /{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", self._resolve),
        ):
            if found := re.fullmatch(pattern, f"{method} {path}"):
                known = {key: value for key, value in found.groupdict().items() if value is not None}
                if (method == "POST" or handler == self._settings) and not may_write:
                    return Reply(401, {"error": "Invalid username or password."})
                if "repo" in known and not self._visible(known["repo"], token):
                    return Reply(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
                return handler(body, **known)  # type: ignore[operator, no-any-return]
        return Reply(404, {"error": f"nothing at {method} {path}"})

    def _visible(self, repo: str, token: str | None) -> bool:
        return repo in self.repos and (not self.repos[repo].private or token == TOKEN)

    def _create(self, body: bytes) -> Reply:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] == "others":
            return Reply(403, {"error": "You don't have the rights to create a model under this namespace"})
        if name in self.repos:
            return Reply(409, {"error": "You already created this model repo"})
        self.repos[name] = Repo(private=asked.get("visibility") == "private" or bool(asked.get("private")))
        self.repos[name].commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        return Reply(body={"url": f"{self.url}/{name}", "id": name})

    def _settings(self, body: bytes, repo: str) -> Reply:
        self.repos[repo].private = json.loads(body)["visibility"] == "private"
        return Reply(body={})

    def _validate(self, body: bytes) -> Reply:
        parts = re.split(r"^---\n", json.loads(body)["content"], flags=re.MULTILINE)
        try:
            data = yaml.safe_load(parts[1]) if len(parts) > 2 else {}
        except yaml.YAMLError as error:
            return Reply(400, {"errors": [{"message": str(error)}], "warnings": []})
        if not isinstance(data, dict) or not isinstance(data.get("license", ""), str):
            return Reply(400, {"errors": [{"message": '"license" must be a string'}], "warnings": []})
        return Reply(body={"errors": [], "warnings": []})

    def _preupload(self, body: bytes, repo: str, revision: str) -> Reply:
        files = self.repos[repo].files
        told = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if is_large(file["path"]) else "regular",
                "shouldIgnore": False,
                "oid": object_id(file["path"], files[file["path"]]) if file["path"] in files else None,
            }
            for file in json.loads(body)["files"]
        ]
        return Reply(body={"files": told})

    def _batch(self, body: bytes, repo: str) -> Reply:
        objects = json.loads(body)["objects"]
        upload = {o["oid"]: {"upload": {"href": f"{self.url}/uploads/{o['oid']}"}} for o in objects}
        return Reply(
            body={
                "transfer": "basic",
                "objects": [o | ({} if o["oid"] in self.blobs else {"actions": upload[o["oid"]]}) for o in objects],
            }
        )

    def _upload(self, body: bytes, oid: str) -> Reply:
        if hashlib.sha256(body).hexdigest() != oid:
            return Reply(400, {"error": "the content does not have its sha256"})
        self.blobs[oid] = body
        return Reply()

    def _commit(self, body: bytes, repo: str, revision: str) -> Reply:
        header, *operations = [json.loads(row) for row in body.splitlines()]
        held = self.repos[repo]
        if header["value"].get("parentCommit", held.head) != held.head:
            return Reply(412, {"error": "A commit has happened since. Please refresh and try again."})
        files = dict(held.files)
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "deletedFile":
                del files[value["path"]]
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.blobs[value["oid"]]
            else:
                files[value["path"]] = base64.b64decode(value["content"])
        digest = held.commit(files)
        return Reply(body={"success": True, "commitOid": digest, "commitUrl": f"{self.url}/{repo}/commit/{digest}"})

    def _info(self, body: bytes, repo: str, revision: str = "main") -> Reply:
        commit = self.repos[repo].at(revision)
        if commit is None:
            return Reply(404, {"error": f"Invalid rev id: {revision}"}, {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": path} for path in self.repos[repo].commits[commit]]
        return Reply(body={"id": repo, "sha": commit, "private": self.repos[repo].private, "siblings": siblings})

    def _tree(self, body: bytes, repo: str, revision: str) -> Reply:
        commit = self.repos[repo].at(revision)
        files = self.repos[repo].commits[commit] if commit else {}
        return Reply(
            body=[
                {"type": "file", "path": path, "size": len(data), "oid": git_digest(data)}
                | ({"lfs": {"oid": sha256(data), "size": len(data), "pointerSize": 128}} if is_large(path) else {})
                for path, data in files.items()
            ]
        )

    def _resolve(self, body: bytes, repo: str, revision: str, path: str) -> Reply:
        commit = self.repos[repo].at(revision)
        files = self.repos[repo].commits[commit] if commit else {}
        seen = {"X-Repo-Commit": commit or ""}
        if path not in files:
            return Reply(404, {"error": "Entry not found"}, seen | {"X-Error-Code": "EntryNotFound"})
        linked = {"X-Linked-Etag": f'"{sha256(files[path])}"', "X-Linked-Size": str(len(files[path]))}
        etag = {"ETag": f'"{object_id(path, files[path])}"'}
        return Reply(
            body=self.tampered.get(path, files[path]), headers=seen | etag | (linked if is_large(path) else {})
        )


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """An empty Hub that serves until the end of the block."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            reply = hub.answer(self.command, unquote(urlsplit(self.path).path), body, token)
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for key, value in {"Content-Length": str(len(data)), **reply.headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_PUT = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
