"""What is asked of HAProxy's Runtime API, by answers as HAProxy 2.6 and 2.8 gave them."""

import pytest

from routing.haproxy.runtime import RuntimeApi

OF_2_6 = (
    "{}: proto=tcpv4 src=127.0.0.1:47102 fe=public be=pool srv={} ts=00 epoch=0 age=1s calls=3 rate=1 cpu=0 lat=0 "
    "rq[f=48c40000h,i=0,an=8000h,rx=,wx=,ax=] rp[f=80400000h,i=0,an={}h,rx=1s,wx=,ax=] scf=[8,0h,fd=9] exp=1s\n"
)
OF_2_8 = (
    "{}: proto=tcpv4 src=127.0.0.1:41186 fe=public be=pool srv={} ts=00 epoch=0 age=0s calls=3 rate=1 cpu=0 lat=0 "
    "rq[f=840000h,i=0,an=8000h,ax=] rp[f=80000000h,i=0,an={}h,ax=] scf=[8,402h,fd=11,rex=,wex=] exp=1s\n"
)
WAITS, ANSWERS = "1400000", "4000000"
OWN = (
    "0xf: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s calls=1 rate=0 cpu=0 lat=0 "
    "rq[f=c08000h,i=0,an=00h,rx=,wx=,ax=] rp[f=80008002h,i=0,an=00h,rx=,wx=,ax=] scf=[8,200h,fd=11] exp=\n"
)


@pytest.mark.parametrize("line", [OF_2_6, OF_2_8], ids=["2.6", "2.8"])
def test_send_again_ends_only_streams_that_wait_on_the_predictor(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those whose answer has begun, nor another predictor's; as many as are asked for, of the spare entry too."""
    streams = [
        ("0x1", "b", WAITS),
        ("0x2", "a", ANSWERS),
        ("0x3", "a", WAITS),
        ("0x4", "a.spare", WAITS),
        ("0x6", "a", WAITS),
    ]
    shown = "".join(line.format(*stream) for stream in streams) + OWN
    asked: list[str] = []
    api = RuntimeApi("/nowhere")

    def query(commands: list[str]) -> str:
        asked.extend(commands)
        return shown if commands == ["show sess"] else ""

    monkeypatch.setattr(api, "query", query)
    api.send_again("a", 2)
    assert asked == ["show sess", "shutdown session 0x3", "shutdown session 0x4"]
    asked.clear()
    api.send_again("c", 2)
    assert asked == ["show sess"]
