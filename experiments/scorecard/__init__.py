"""The high-availability scorecard: what faults cost the clients of each topology. The command is in failover.py."""
