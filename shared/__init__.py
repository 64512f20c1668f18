"""The backup itself: a pure domain, services over it, and one adapter per outside system."""
