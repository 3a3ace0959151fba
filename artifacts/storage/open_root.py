"""The class that serves a URL: a local folder, `memory://`, `s3://` or another filesystem of fsspec."""

from nerbench.artifacts.storage.filesystem import Root


def open_root(url: str) -> Root:
    """The root at a plain path or fsspec URL, which need not exist. Raises InputError for an unusable one.

    All methods of a root also raise InputError if access is refused or a bucket is missing, and StoreUnreachableError
    if a store gives no answer in three attempts or a disk fails. FileNotFoundError and an empty listing always mean
    that nothing exists.
    """
    protocol, found, path = url.partition("://")
    if not found or protocol in ("file", "local"):
        from nerbench.artifacts.storage.local import LocalRoot

        return LocalRoot(path if found else url)
    from nerbench.artifacts.storage.remote import FsspecRoot, MemoryRoot, check_url

    check_url(url)
    if protocol in ("s3", "s3a"):
        from nerbench.artifacts.storage.s3 import S3Root

        return S3Root(url)
    return MemoryRoot(url) if protocol == "memory" else FsspecRoot(url)
