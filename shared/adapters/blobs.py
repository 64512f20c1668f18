"""Blob Storage: batches, staged archives, manifests, leases."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient

from shared.errors import LeaseLost
from shared.protocols import BlobLease

_TRANSFER_PARALLELISM = 2


class AzureBlobs:
    """See `shared.protocols.BlobStore`."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._container = service.get_container_client(container)
        self._made = False
        self._lock = threading.Lock()

    def put(self, name: str, data: bytes) -> None:
        """See `BlobStore.put`."""
        self._blob(name).upload_blob(data, overwrite=True)

    def put_file(self, name: str, source: Path) -> None:
        """See `BlobStore.put_file`."""
        with source.open("rb") as stream:
            self._blob(name).upload_blob(stream, overwrite=True, max_concurrency=_TRANSFER_PARALLELISM)

    def get(self, name: str) -> bytes:
        """See `BlobStore.get`."""
        try:
            data: bytes = self._blob(name).download_blob().readall()
            return data
        except ResourceNotFoundError:
            raise KeyError(name) from None

    def get_file(self, name: str, target: Path) -> None:
        """See `BlobStore.get_file`."""
        try:
            with target.open("wb") as stream:
                self._blob(name).download_blob(max_concurrency=_TRANSFER_PARALLELISM).readinto(stream)
        except ResourceNotFoundError:
            target.unlink(missing_ok=True)
            raise KeyError(name) from None

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
