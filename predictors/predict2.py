"""predict2, on port 9697. What a predictor does is in model_server.py."""

from model_server import main

if __name__ == "__main__":
    main("predict2", 9697)
