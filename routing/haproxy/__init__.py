"""HAProxy as the engine: its configuration from a topology file, and a running one directed by the router."""
