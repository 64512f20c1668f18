"""The one composition root: settings in, services out. A test swaps an adapter by argument."""

from shared.wiring.composition import Services, build, decorate, services
from shared.wiring.outside import Adapters, connect

__all__ = ["Adapters", "Services", "build", "connect", "decorate", "services"]
