"""--server: the request that a server file describes, read by the project's own reader, in the folder above.

The only module here that needs that folder, and only once the option is given.
"""

import functools
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from swarm import Prediction

PROJECT = Path(__file__).resolve().parents[1]
READER = "server_file.py"


def read_server(name: str) -> Prediction:
    """Returns the request of a server file: the path of one, or a name in the project's folder servers/.

    With its payload, and the values of the environment's variables in its headers, as they are now. Raises
    ArgumentTypeError.
    """
    if not (PROJECT / READER).is_file():
        raise ArgumentTypeError(
            f"{name!r}: needs {READER} of the project in {str(PROJECT)!r}: use Locust's folder where it belongs"
        )
    sys.path.insert(0, str(PROJECT))  # first: no installed module may take the place of one of the project's
    try:
        from json_files import JsonFileError
        from server_file import find, read
    finally:
        sys.path.remove(str(PROJECT))
    try:
        server = read(find(name, PROJECT / "servers"))
        return Prediction(server.path, server.payload, server.content_type, tuple(server.header_values().items()))
    except JsonFileError as error:
        raise ArgumentTypeError(str(error)) from None


read_server_once = functools.cache(read_server)
"""For --server: Locust parses the command line again for each load of its page, when the file may be in the making."""


def server_option(text: str) -> str:
    """Returns the value of --server. Raises ArgumentTypeError."""
    read_server_once(text)
    return text
