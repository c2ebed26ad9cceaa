"""How a Flask app meets the network: one process, gunicorn's HTTP parser on gevent. No routing rules live here."""

from serving.request import json_errors, read_body
from serving.server import Listener, bind, serve

__all__ = ["Listener", "bind", "json_errors", "read_body", "serve"]
