"""predict4, on port 9699. What a predictor does is in model_server.py."""

from model_server import main

if __name__ == "__main__":
    main("predict4", 9699)
