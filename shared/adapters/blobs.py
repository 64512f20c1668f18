"""Blob Storage: batches, staged archives, manifests, leases."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient

from shared.domain.seal import seal
from shared.errors import DamagedBlob, LeaseLost
from shared.protocols import BlobLease

_TRANSFER_PARALLELISM = 2
_SEAL = "seal"
_READ_BYTES = 2**20


class AzureBlobs:
    """See `shared.protocols.BlobStore`."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._container = service.get_container_client(container)
        self._made = False
        self._lock = threading.Lock()

    def put(self, name: str, data: bytes) -> None:
        """See `BlobStore.put`."""
        self._blob(name).upload_blob(data, overwrite=True, metadata={_SEAL: seal(name, [data])})

    def create(self, name: str, data: bytes) -> bool:
        """See `BlobStore.create`."""
        try:
            self._blob(name).upload_blob(data, overwrite=False, metadata={_SEAL: seal(name, [data])})
        except ResourceExistsError:
            return False
        return True

    def put_file(self, name: str, source: Path) -> None:
        """See `BlobStore.put_file`."""
        sealed = {_SEAL: _seal_of_file(name, source)}
        with source.open("rb") as stream:
            self._blob(name).upload_blob(stream, overwrite=True, max_concurrency=_TRANSFER_PARALLELISM, metadata=sealed)

    def get(self, name: str) -> bytes:
        """See `BlobStore.get`."""
        try:
            download = self._blob(name).download_blob()
            data: bytes = download.readall()
        except ResourceNotFoundError:
            raise KeyError(name) from None
        _check(name, download.properties.metadata, seal(name, [data]))
        return data

    def get_file(self, name: str, target: Path) -> None:
        """See `BlobStore.get_file`."""
        try:
            with target.open("wb") as stream:
                download = self._blob(name).download_blob(max_concurrency=_TRANSFER_PARALLELISM)
                download.readinto(stream)
            _check(name, download.properties.metadata, _seal_of_file(name, target))
        except ResourceNotFoundError:
            target.unlink(missing_ok=True)
            raise KeyError(name) from None
        except DamagedBlob:
            target.unlink(missing_ok=True)
            raise

    def names(self, prefix: str) -> Iterator[str]:
        """See `BlobStore.names`."""
        self._ensure()
        yield from self._container.list_blob_names(name_starts_with=prefix)

    def delete(self, name: str) -> None:
        """See `BlobStore.delete`."""
        try:
            self._blob(name).delete_blob()
        except ResourceNotFoundError:
            return

    def acquire_lease(self, name: str, seconds: int) -> BlobLease | None:
        """See `BlobStore.acquire_lease`."""
        blob = self._blob(name)
        try:
            blob.upload_blob(b"", overwrite=False)
        except ResourceExistsError:
            pass
        except HttpResponseError as error:
            if error.status_code != 412:
                raise
        try:
            lease = blob.acquire_lease(lease_duration=seconds)
        except ResourceExistsError:
            return None
        except HttpResponseError as error:
            if error.status_code == 409:
                return None
            raise
        return BlobLease(name, lease.id)

    def renew_lease(self, lease: BlobLease) -> None:
        """See `BlobStore.renew_lease`."""
        try:
            BlobLeaseClient(self._blob(lease.name), lease_id=lease.lease_id).renew()
        except HttpResponseError as error:
            raise LeaseLost(name=lease.name) from error

    def release_lease(self, lease: BlobLease) -> None:
        """See `BlobStore.release_lease`."""
        try:
            BlobLeaseClient(self._blob(lease.name), lease_id=lease.lease_id).release()
        except HttpResponseError as error:
            if error.status_code not in (404, 409, 412):
                raise

    def _blob(self, name: str) -> BlobClient:
        self._ensure()
        return self._container.get_blob_client(name)

    def _ensure(self) -> None:
        if self._made:
            return
        with self._lock:
            with contextlib.suppress(ResourceExistsError):
                self._container.create_container()
            self._made = True


def _seal_of_file(name: str, file: Path) -> str:
    with file.open("rb") as stream:
        return seal(name, iter(lambda: stream.read(_READ_BYTES), b""))


def _check(name: str, metadata: Mapping[str, str] | None, found: str) -> None:
    if (metadata or {}).get(_SEAL) != found:
        raise DamagedBlob(name=name)
