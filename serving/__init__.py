"""How a Flask app meets the network: one process, gunicorn's HTTP parser on gevent. No routing rules live here.

Imports nothing by itself: `serving.sockets` needs the standard library alone.
"""
