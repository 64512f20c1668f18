"""Git's name for bytes."""

from __future__ import annotations

import hashlib


def blob_id(data: bytes) -> str:
    """The object id of a Git blob with these bytes, SHA-1 in hex."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
