"""Experiments on the project: they start its programs as processes, record what happens, and report on the records."""

EXPERIMENTS = {
    "compare": "swarm each topology until its first failure, beside theory",
    "blocking": "offer Poisson arrivals; the refused share beside Erlang B",
    "failover": "break each topology under load: losses, recovery, six metrics",
}
"""Name -> what it does in a few words. Each is the value EXPERIMENT of experiments/<name>/experiment.py."""
