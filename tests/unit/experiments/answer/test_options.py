"""The inputs on the command line: what people write is read, what cannot be is told in one line with its remedy."""

import pytest

from cli import Parser, UsageError
from experiments.answer.inputs import DEFAULTS, GIVEN, Input, Inputs
from experiments.answer.options import OPTIONS, add_inputs, inputs_of

DAY = 86_400.0


def read(*arguments: str, measured: dict[str, Input] | None = None) -> Inputs:
    """The inputs of a command line."""
    parser = Parser(prog="test")
    add_inputs(parser)
    return inputs_of(parser.parse_args(arguments), measured or {})


def test_inputs_without_options_are_the_defaults_and_say_whose() -> None:
    """Each of them is marked as nobody's measurement."""
    inputs = read()
    assert inputs.as_mapping() == dict(DEFAULTS)
    assert all(each.source.startswith("default: ") for each in inputs.as_mapping().values())


def test_inputs_every_option_sets_the_input_of_its_name() -> None:
    """None is read and forgotten."""
    texts = dict.fromkeys(OPTIONS, "0.5") | {
        "target": "99",
        "threshold": "7",
        "mtbf": "7d",
        "router_mtbf": "70d",
        "repair": "10m",
    }
    inputs = read(*(word for name, text in texts.items() for word in (f"--{name.replace('_', '-')}", text)))
    given = {name: each.value for name, each in inputs.as_mapping().items()}
    assert given == dict.fromkeys(OPTIONS, 0.5) | {
        "target": 99.0,
        "threshold": 7.0,
        "mtbf": 7 * DAY,
        "router_mtbf": 70 * DAY,
        "repair": 600.0,
    }
    assert {each.source for each in inputs.as_mapping().values()} == {GIVEN}


@pytest.mark.parametrize(
    ("option", "text", "ends"),
    [
        ("--mtbf", "10d-90d", (10 * DAY, 90 * DAY)),
        ("--repair", "5m-1h30m", (300.0, 5400.0)),
        ("--per-minute", "2300-9000", (2300.0, 9000.0)),
        ("--common-cause", "0.01-0.1", (0.01, 0.1)),
    ],
)
def test_inputs_range_has_its_ends_and_their_geometric_mean(option: str, text: str, ends: tuple[float, float]) -> None:
    """Half of the values lie below the middle."""
    own = read(option, text).of(option.strip("-").replace("-", "_"))
    assert (own.low, own.high) == ends
    assert own.value == pytest.approx((ends[0] * ends[1]) ** 0.5)


@pytest.mark.parametrize("options", [["--mtbf", "1h-1000h"], ["--repair", "1s-1000s"], ["--router-mtbf", "1h-1000h"]])
def test_inputs_widest_range_has_no_value_that_is_none(options: list[str]) -> None:
    """Even the rarest of those drawn is a time that things take."""
    faults, _ = read(*options).drawn(100_000)
    assert faults.mtbf_s.min() >= 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "0"], "argument --rate: '0': give one number of requests per second, above 0"),
        (["--rate", "nan"], "argument --rate: 'nan': give one number of requests per second"),
        (["--target", "100"], "argument --target: '100': no number of predictors refuses nothing: give less"),
        (["--rate", "10-14"], "argument --rate: '10-14': give one number of requests per second"),
        (["--target", "0.999"], "'0.999' is not a target: give percent of the requests: 99.9?"),
        (["--target", "30"], "'30' is not a target: give percent of the requests, from 50 to 99.9999999, as 99.9"),
        (["--target", "99.99999999999"], "'99.99999999999' is not a target"),
        (["--per-minute", "$5,600"], "'$5,600' is not an amount: give it in dollars, digits alone, as 5600"),
        (["--server-hour", "1,2"], "'1,2' is not an amount: give it in dollars, digits alone, as 1.2"),
        (["--common-cause", "2"], "'2' is not a share: give one from 0 to 1, as 0.02 for 2 %"),
        (["--router-loss", "-1"], "argument --router-loss"),
        (["--router-loss", "2000"], "'2000': give a number from 0 to 1000"),
        (["--common-cause", "-0.1"], "argument --common-cause"),
        (["--mtbf", "30"], "'30' is less than an hour between failures"),
        (["--mtbf", "90d-10d"], "'90d-10d' is not a range: give the smaller end first, both above 0"),
        (["--load-time", "0-30s"], "'0-30s' is not a range"),
        (["--mtbf", "10d-"], "'10d-' is not a range: give its upper end too, or one value"),
        (["--mtbf", "1h-1001h"], "'1h-1001h': so wide a range says nothing: give ends that differ 1000 times at most"),
        (["--repair", "10ms"], "'10ms' is less than a second to repair: give more, as 10m"),
        (["--repair", "ten"], "'ten' is not a time: give one like 15m, 90s, 1h30m"),
        (["--repair", "30d"], "argument --repair: 30 d is no less than 30 d between failures"),
        (["--threshold", "1.5"], "'1.5': give a whole number from 1 to 10000"),
        (["--users", "10", "--rate", "3"], "argument --users: --rate says the same: leave one of the two out"),
        (["--wait", "1-5"], "argument --wait: it is the users': give --users too, or leave it out"),
        (["--users", "10", "--wait", "5-1"], "'5-1' is not a wait: give seconds, as 3, or the least and the most"),
    ],
)
def test_inputs_mistake_is_told_with_its_remedy(arguments: list[str], told: str) -> None:
    """The value, the place, what is accepted."""
    with pytest.raises(UsageError) as raised:
        read(*arguments)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_inputs_percent_may_have_its_sign() -> None:
    """99.9% is 99.9, and a share of 2% is 0.02."""
    assert read("--target", "99.9%").target.value == 99.9
    assert read("--common-cause", "2%").common_cause.value == 0.02


def test_inputs_slots_are_the_capacity_too() -> None:
    """The router's word and the topology file's."""
    assert read("--capacity", "4").threshold == read("--threshold", "4").threshold


def test_inputs_users_send_once_in_a_wait_and_a_service_time() -> None:
    """And the rate says that it was reckoned from them."""
    inputs = read("--users", "200", "--wait", "1-5", "--service-time", "1")
    assert inputs.rate.value == pytest.approx(200 / 4)
    assert inputs.rate.source == "given: 200 users who wait 1 to 5 s"
    assert inputs.users is not None
    assert inputs.users.value == 200


def test_inputs_what_is_given_counts_before_what_was_measured_and_that_before_defaults() -> None:
    """Each says which it is."""
    measured = {"rate": Input(5.0, "requests/s", "measured"), "repair": Input(60.0, "s", "measured")}
    inputs = read("--rate", "12", measured=measured)
    assert (inputs.rate.value, inputs.rate.source) == (12.0, GIVEN)
    assert (inputs.repair.value, inputs.repair.source) == (60.0, "measured")
    assert inputs.mtbf == DEFAULTS["mtbf"]
