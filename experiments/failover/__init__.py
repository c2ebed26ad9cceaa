"""The high-availability scorecard: what faults cost the clients of each topology."""
