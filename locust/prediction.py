"""Which request the users of a run send: that of --server, or of --payload, or GET /predict."""

from argparse import ArgumentTypeError

from payload import read_payload
from server_option import read_server
from swarm import Prediction


def prediction_of(server: str | None, payload: str | None) -> Prediction:
    """Returns the request of a server file, or a payload file, or both, as they are now; None and "": no such file.

    Raises ArgumentTypeError, too where both name a payload.
    """
    prediction = read_server(server) if server else Prediction()
    if not payload:
        return prediction
    if prediction.body is not None:
        raise ArgumentTypeError(
            f"payload {payload!r}: the server file {server!r} names one, too: leave out one of them"
        )
    return prediction._replace(body=read_payload(payload))
