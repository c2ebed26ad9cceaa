"""How fast the router is, beside its peers and against its own targets: `python -m benchmarks`."""
