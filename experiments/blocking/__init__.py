"""The blocking check: Poisson arrivals at fixed rates; the refused share beside Erlang B."""
