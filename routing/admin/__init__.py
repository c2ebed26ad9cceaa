"""What an operator and Prometheus see: state and orders as JSON, metrics, the live board."""
