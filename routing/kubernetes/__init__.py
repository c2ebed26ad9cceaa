"""A topology as Kubernetes manifests. They are printed, not applied: nothing here talks to a cluster."""
