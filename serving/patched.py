"""Import this before anything else in a process that serves: it makes blocking calls cooperative (gevent)."""

from gevent import monkey

monkey.patch_all()
