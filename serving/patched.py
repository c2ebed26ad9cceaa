"""Import this before anything else in a process that serves: it makes blocking calls cooperative (gevent)."""

from importlib import metadata

from gevent import monkey

# At each of 25 steps gevent looks for its plugins among all installed distributions: a third of a router's start.
_entry_points = metadata.entry_points
metadata.entry_points = _entry_points().select
try:
    monkey.patch_all()
finally:
    metadata.entry_points = _entry_points
