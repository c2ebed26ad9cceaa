"""The way to one predictor: finding it, connecting, one request and its response, and every kind of failure."""
