"""One way of forwarding: `python -m benchmarks.forwarding_clients WAY PORT SECONDS` prints requests per second."""

if __name__ == "__main__":
    import serving.patched  # noqa: F401  # first: the imports below are to be cooperative

import sys
import time
from collections.abc import Callable

BODY = b"x" * 882  # as long as predictors/sample.json
HEADERS = {"Content-Type": "application/json"}
AT_ONCE = 8
Send = Callable[[], object]


def session(port: int) -> Send:
    """A requests session, as one would write it."""
    import requests

    client = requests.Session()
    return lambda: client.post(f"http://127.0.0.1:{port}/predict", data=BODY, headers=HEADERS).content


def adapter(port: int) -> Send:
    """The adapter of requests, without what a session adds: cookies, redirects, proxies, .netrc."""
    import requests
    from requests.adapters import HTTPAdapter

    pool = HTTPAdapter(pool_connections=1, pool_maxsize=AT_ONCE)

    def send() -> object:
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = "POST", f"http://127.0.0.1:{port}/predict", BODY
        prepared.headers = requests.structures.CaseInsensitiveDict({**HEADERS, "Content-Length": str(len(BODY))})
        with pool.send(prepared, stream=True, timeout=(0.5, None)) as response:
            return response.raw.read(decode_content=False)

    return send


def urllib3(port: int) -> Send:
    """The pool under requests."""
    from urllib3 import HTTPConnectionPool

    pool = HTTPConnectionPool("127.0.0.1", port, maxsize=AT_ONCE)
    return lambda: pool.request("POST", "/predict", body=BODY, headers=HEADERS, retries=False).data


def geventhttpclient(port: int) -> Send:
    """Geventhttpclient's own client and pool."""
    from geventhttpclient import HTTPClient

    client = HTTPClient("127.0.0.1", port, concurrency=AT_ONCE)
    return lambda: client.post("/predict", body=BODY, headers=HEADERS).read()


def routing(port: int) -> Send:
    """What the router does: its own connections, geventhttpclient's parser, every answer bounded and judged."""
    from routing.topology import Entry, Role
    from routing.upstream.client import Request, Upstream

    upstream = Upstream(Entry("stub", "127.0.0.1", port, AT_ONCE, Role.ACTIVE))
    request = Request(BODY, HEADERS)
    return lambda: upstream.send(request)


CLIENTS: dict[str, Callable[[int], Send]] = {
    "requests.Session": session,
    "requests.adapters.HTTPAdapter": adapter,
    "urllib3.HTTPConnectionPool": urllib3,
    "geventhttpclient.HTTPClient": geventhttpclient,
    "routing.upstream.client.Upstream": routing,
}


def main(way: str, port: str, seconds: str) -> None:
    """Sends from several greenlets until the time is over, and prints answers per second."""
    import gevent

    send = CLIENTS[way](int(port))
    send()
    counts = [0] * AT_ONCE
    began_s = time.perf_counter()
    end_s = began_s + float(seconds)

    def work(number: int) -> None:
        while time.perf_counter() < end_s:
            send()
            counts[number] += 1

    gevent.joinall([gevent.spawn(work, number) for number in range(AT_ONCE)], raise_error=True)
    print(sum(counts) / (time.perf_counter() - began_s))


if __name__ == "__main__":
    main(*sys.argv[1:])
