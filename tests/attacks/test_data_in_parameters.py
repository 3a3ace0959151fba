"""Parameters that name data: a run that the API starts uses only locations that its worker allows."""

import ipaddress
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.artifacts.errors import ConfigError, CorpusError, InputError
from nerbench.flows.request import admit_references, configuration
from nerbench.tasks.config import Config
from nerbench.tasks.config.permissions import is_internal, is_internal_address, require_location
from nerbench.tasks.data import text_files
from nerbench.tasks.data.text_files import open_file

PUBLIC = "93.184.215.14"


def resolving(monkeypatch: pytest.MonkeyPatch, hosts: dict[str, list[str]]) -> None:
    """Resolve names to these addresses; addresses do not change."""
    real = socket.getaddrinfo

    def find(host: str, *arguments: Any, **options: Any) -> Any:
        if host in hosts:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in hosts[host]]
        if host.endswith(".example"):
            raise socket.gaierror(-2, "Name or service not known")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", find)


def with_corpus(location: str) -> dict[str, Any]:
    return {"datasets": [{"name": "x", "files": {"test": location}}]}


LOCATIONS = [
    "/etc/passwd",
    "/proc/self/environ",
    "../outside.txt",
    "sub/../../outside.txt",
    "~/.ssh/id_rsa",
    ".env",
    ".git/config",
    "link.txt",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "file::/etc/passwd",
    "FILE:///etc/passwd",
    "local:///etc/passwd",
    "simplecache::/etc/passwd",
    "simplecache::file:///etc/passwd",
    "filecache::http://169.254.169.254/latest",
    "zip://x::file:///etc/secrets.zip",
    "reference::file:///x",
    "http://169.254.169.254/latest/meta-data/iam",
    "http://localhost:4200/api/block_documents",
    "http://127.0.0.1/x",
    "http://[::1]/x",
    "https://public.example/x",
    "s3://another-bucket/x",
    "sftp://host/x",
    "github://org:repo@main/x",
    "data:text/plain,x",
    "a\0b",
]
"""Locations that a parameter may not use as corpus, store, results, base or tracker."""


@pytest.mark.usefixtures("started_by_api")
@pytest.mark.parametrize("location", LOCATIONS)
def test_a_location_that_the_worker_does_not_list(folder: Path, location: str) -> None:
    (folder.parent / "outside.txt").touch()
    (folder / "link.txt").symlink_to(folder.parent / "outside.txt")
    for data in (
        with_corpus(location),
        {"store": location},
        {"results": location},
        {
            "golds": [{"name": "g", "dataset": "y", "file": location}],
            "datasets": [{"name": "y", "files": {"test": "t"}}],
        },
        {"models": [{"name": "a", "base": location}]},
        {"track": "mlflow", "tracking_uri": location},
        {"benchmark": {"models": [f"{location}/"]}},
        {"gate": {"baseline": f"{location}/x"}},
    ):
        config = Config.model_validate(data)
        with pytest.raises(InputError, match="cannot be named in the parameters of a run"):
            configuration(config, ())


@pytest.mark.usefixtures("started_by_api")
@pytest.mark.parametrize("reference", ["/elsewhere/model", "hf://org/private", "s3://x/models/a", "../m/x"])
def test_a_reference_of_a_flow_to_elsewhere(folder: Path, reference: str) -> None:
    with pytest.raises(InputError, match="cannot be named"):
        admit_references("models", [reference])
    admit_references("models", ["tiny", "tiny@latest", "*@latest", "tiny@sha256:12345678"])


@pytest.mark.usefixtures("started_by_api")
def test_a_hub_id_and_a_cluster_are_the_workers_to_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = [
        {"models": [{"name": "a", "base": "org/model"}]},
        {"datasets": [{"name": "x", "format": "hub", "path": "org/corpus"}]},
        {"runner": {"kind": "dask", "address": "tls://evil.example:8786"}},
        {"runner": {"kind": "ray", "address": "ray://evil.example:10001"}},
    ]
    for data in asked:
        with pytest.raises(InputError, match="cannot be named"):
            configuration(Config.model_validate(data), ())
    monkeypatch.setenv("NERBENCH_DATA", "hf://org/,tls://evil.example:8786,ray://evil.example:10001," + str(folder))
    for data in asked:
        assert configuration(Config.model_validate(data), ())
    with pytest.raises(InputError, match="cannot be named"):
        configuration(Config.model_validate({"models": [{"name": "a", "base": "organisation/model"}]}), ())


@pytest.mark.usefixtures("started_by_api")
@pytest.mark.legitimate
def test_the_workers_folder_and_locations_in_its_file_are_allowed(folder: Path) -> None:
    own = folder.parent / "elsewhere"
    own.mkdir()
    (own / "test.txt").write_text("a O\n")
    (folder / "nerbench.yaml").write_text(
        f"store: s3://bucket/models\ndataset: {{name: x, files: {{test: {own}/test.txt}}}}"
    )
    assert configuration(Config.model_validate(with_corpus(f"{own}/test.txt")), ()).datasets
    assert configuration(Config.model_validate(with_corpus("data/new.txt")), ()).datasets
    admit_references("models", [f"s3://bucket/models/models/a/manifests/{'0' * 64}.json"])
    for refused in (f"{own}/other.txt", "s3://bucket/models-of-another/x", "s3://bucket/models/../x"):
        with pytest.raises(InputError, match="cannot be named"):
            configuration(Config.model_validate(with_corpus(refused)), ())


@pytest.mark.legitimate
def test_the_command_line_may_name_anything(folder: Path) -> None:
    config = Config.model_validate(with_corpus("/etc/passwd"))
    assert configuration(config, ()) is config


@pytest.mark.usefixtures("started_by_api")
def test_a_variable_that_the_worker_does_not_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    monkeypatch.setenv("CORPUS", str(folder))
    monkeypatch.setenv("PLANTED_TOKEN", "planted-token")
    for location in ("http://evil/${AWS_SECRET_ACCESS_KEY}", "${CORPUS}/x.txt", "x/$${A}${AWS_SECRET_ACCESS_KEY}"):
        with pytest.raises(ConfigError, match=r"may not be used in the parameters of a run; list \w+ in the worker's"):
            configuration(Config.model_validate(with_corpus(location)), ())
    loader = {"name": "x", "loader": "mine:load", "options": {"token": "${PLANTED_TOKEN}"}}
    with pytest.raises(ConfigError, match="PLANTED_TOKEN"):
        configuration(Config.model_validate({"datasets": [loader]}), ())
    monkeypatch.setenv("NERBENCH_ENV", "CORPUS, PLANTED_TOKEN")
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY"):
        configuration(Config.model_validate(with_corpus("${CORPUS}/${AWS_SECRET_ACCESS_KEY}")), ())
    with pytest.raises(ConfigError, match="is a credential"):
        configuration(Config.model_validate(with_corpus("${CORPUS}/${PLANTED_TOKEN}")), ())
    admitted = configuration(Config.model_validate(with_corpus("${CORPUS}/x.txt") | {"results": "${CORPUS}/r"}), ())
    assert admitted.datasets[0].files["test"] == f"{folder}/x.txt"
    assert admitted.as_written()["datasets"][0]["files"]["test"] == "${CORPUS}/x.txt"
    assert admitted.model_copy(update={"store": "y"}).as_written()["results"] == "${CORPUS}/r"
    kept = configuration(Config.model_validate({"datasets": [loader]}), ())
    assert kept.datasets[0].options == {"token": "${PLANTED_TOKEN}"}


INTERNAL = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
]
IPV6 = ["::1", "::", "fe80::1%1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fd00:ec2::254"]


@pytest.mark.parametrize("address", [*INTERNAL, *IPV6])
def test_internal_addresses(address: str) -> None:
    assert is_internal_address(address)


@given(st.ip_addresses(v=4))
def test_internal_addresses_in_any_notation_are_not_public(address: ipaddress.IPv4Address) -> None:
    internal = not address.is_global or address.is_multicast
    assert is_internal_address(str(address)) == internal
    assert is_internal_address(f"::ffff:{address}") == internal


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1", "[::1]"])
def test_numbers_in_disguise(host: str) -> None:
    with pytest.raises(InputError):
        require_location("x", f"http://{host}/x", ["http://"])


def test_a_host_name_is_resolved_before_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {"public.test": [PUBLIC], "rebound.test": ["10.0.0.1"], "both.test": [PUBLIC, "127.0.0.1"]}
    resolving(monkeypatch, hosts)
    require_location("x", "https://public.test/a/b.txt", ["https://"])
    require_location(
        "x", "https://rebound.test/a/b.txt", ["https://rebound.test/a"]
    )  # the worker's own file names that host
    for url in (
        "https://rebound.test/x",
        "https://both.test/x",
        "https://unknown.example/x",
        "http://public.test/x",
        "https://public.test@rebound.test/x",
        "https://public.test/a\\@rebound.test/x",
    ):
        with pytest.raises(InputError):
            require_location("x", url, ["https://"])
    for url in (
        "https://public.test/a/../b",
        "https://public.test/a/%2e%2e/b",
        "https://public.test/ab",
        "https://public.test",
    ):
        with pytest.raises(InputError):
            require_location("x", url, ["https://public.test/a"])


@pytest.fixture
def internal_server() -> Iterator[str]:
    """A server of an internal network, with a secret."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"secret O\n")

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_public_server_leads_into_no_internal_network(internal_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by a redirection nor by DNS rebinding: the check is at the connection."""
    with open_file(f"{internal_server}/x") as file:  # named by the user's own command line
        assert file.read() == b"secret O\n"
    monkeypatch.setattr(text_files, "is_internal", lambda host: False)  # the address at the time of the check
    with pytest.raises(CorpusError) as caught, open_file(f"{internal_server}/x") as file:
        file.read()
    assert "secret" not in str(caught.value)


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {})
    with pytest.raises(CorpusError, match="its host cannot be found"):
        open_file("https://nowhere.example/x")
    with pytest.raises(OSError, match="Name or service"):
        is_internal("nowhere.example")


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "", "~", "%2e%2e", "…"]), min_size=1, max_size=6))
def test_no_relative_path_leaves_its_root(parts: list[str]) -> None:
    root, text = Path("/srv/root"), "/srv/root/" + "/".join(parts)
    try:
        require_location("x", text, [str(root)])
    except InputError:
        return
    assert Path(text).resolve().is_relative_to(root)
