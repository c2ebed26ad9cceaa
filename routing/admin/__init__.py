"""What an operator and Prometheus see: state and actions as JSON, metrics, the live board."""
