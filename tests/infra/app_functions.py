"""What the app registers, by the names that telemetry and the host know."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import function_app


@cache
def triggers() -> Mapping[str, dict[str, Any]]:
    """Each function's trigger by the function's name."""
    # The library refuses names that an earlier listing in the same process knew.
    function_app.app.functions_bindings = {}
    found = {f.get_function_name(): f.get_trigger().get_dict_repr() for f in function_app.app.get_functions()}
    function_app.app.functions_bindings = {}
    return found
