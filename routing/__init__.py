"""What router.py is made of: the topology, who gets the next request, and how it gets there."""

__version__ = "0.1.0"
