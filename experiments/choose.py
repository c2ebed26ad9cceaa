"""`python -m experiments choose`: which deployment to take, how many predictors, and what it costs a year."""

import json
import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cli import Parser, UsageError, option_words
from experiments.answer.answer import Answer, answer
from experiments.answer.inputs import DEFAULTS, Input, Inputs
from experiments.answer.measured import Measured
from experiments.answer.of_server import saturation, service_time
from experiments.answer.options import add_inputs, inputs_of
from experiments.answer.sentences import explain
from experiments.answer.topology_file import require_writable, write_topology
from experiments.options import add_shared
from experiments.results.folders import PROJECT, display_path, new_folder, require_unused
from experiments.results.records import ServerRecord
from experiments.results.store import as_json, write_json
from experiments.theory.sizing import Deployment, Kind, NoSizeError

ANSWER = "choose.json"

DESCRIPTION = """\
Say which deployment to take, how many predictors, and what it costs a year:
by queueing theory at once, and with what a failover run measured where its
folder is given. Without any option: the post's own case, and its inputs.

A time is 30d, 1h30m, 10m, 90s, 250ms or 900 (seconds). Of most inputs a
range is as good as a value: 10d-90d holds nine values in ten."""

EXAMPLES = """\
examples:
  python -m experiments choose
  python -m experiments choose --rate 12 --target 99.9 --load-time 30
  python -m experiments choose --users 200 --wait 1-5 --mtbf 10d-90d
  python -m experiments choose results/20250131-142500 --rate 12
  python -m experiments choose --rate 12 --write topology/mine.json
"""


def make_parser() -> Parser:
    """The command line's parser."""
    parser = Parser(prog="python -m experiments choose", description=DESCRIPTION, epilog=EXAMPLES)
    add = parser.add_argument
    add("run", nargs="?", type=Path, metavar="RUN", help="folder of a failover run: what it measured counts")
    add_inputs(parser)
    add_shared(parser, "--server", help="measure a model server of your own first (docs/servers.md)")
    add("--write", type=Path, metavar="FILE", help="write the deployment as a topology file")
    add("--json", action="store_true", help="print the answer as one JSON object, and write no page")
    add("--markdown", action="store_true", help="print the deployments as a table in Markdown, and write no page")
    add("--out", type=Path, metavar="DIR", help="new folder for choose.html (default: RUN, or results/<date-time>)")
    return parser


def main(arguments: Sequence[str], console: Console) -> None:
    """Runs the command. Raises CommandError."""
    options = make_parser().parse_args(arguments)
    _check(options)
    told = Console(stderr=True, width=console.width) if options.json or options.markdown else console
    measured = _measured(options, told)
    inputs = inputs_of(options, measured.inputs if measured else {})
    try:
        found = explain(answer(inputs, measured), inputs, measured)
    except NoSizeError as error:
        remedy = "give a lower one, a lower rate, or more slots (--threshold)"
        raise UsageError(f"argument --target: {inputs.target.value:g}: {error}: {remedy}") from error
    folder = new_folder(options.out) if options.out is not None else options.run
    if options.write is not None:
        _write(options.write, found, inputs, told, measured.server if measured else "")
    if options.json:
        print(json.dumps(as_json(found), indent=2))
    elif options.markdown:
        _show_markdown(found)
    else:
        _show(found, console)
    if not (options.json or options.markdown) or options.out is not None:
        _leave_page(folder, found, shlex.join(["python", "-m", "experiments", "choose", *arguments]), told)


def _check(options: Namespace) -> None:
    """Refuses what cannot be done before anything is measured. Raises UsageError."""
    if options.write is not None:
        require_writable(options.write)
    if options.out is not None:
        require_unused(options.out)
    if options.json and options.markdown:
        raise UsageError("argument --markdown: --json prints too: leave one of the two out")
    if options.run is not None and options.server:
        raise UsageError(f"argument --server: {options.run} says what the server was: leave one of the two out")
    for name in ("service_time", "load_time", "start_time"):
        if options.server and getattr(options, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"argument {option}: it is measured of --server {options.server}: leave it out")


def _write(path: Path, found: Answer, inputs: Inputs, console: Console, server: str | None) -> None:
    """Writes the recommended deployment, and says how to measure it. Raises UsageError.

    `server`: as `Measured.server`.
    """
    size = next(each for each in found.sizes if each.deployment == found.recommended)
    write_topology(path, Deployment(Kind(size.kind), size.predictors), round(inputs.threshold.value))
    measure = _how_to_measure(path, inputs, server)
    console.print(f"{path}: {found.recommended}. {measure}", soft_wrap=True, highlight=False, markup=False)


def _how_to_measure(path: Path, inputs: Inputs, server: str | None) -> str:
    """The command that measures a topology file under these inputs, or why none does, in a sentence."""
    from experiments.failover.experiment import make_parser as failover_parser

    if server is None:
        return "Its predictors are the run's servers: name them in its entries, as that run's topologies do."
    options = {"--topologies": path, "--rate": f"{inputs.rate.value:g}"}
    if server:
        options["--server"] = server
    else:
        options["--service-time"] = f"{inputs.service_time.value:g}"
        options |= {"--load-time": f"{inputs.load_time.value:g}"} if inputs.load_time.value else {}
    words = option_words(options)
    try:
        failover_parser().parse_args(words)
    except UsageError as error:
        return f"failover cannot measure it: {error}"
    return f"To measure it: {shlex.join(['python', '-m', 'experiments', 'failover', *words])}"


def _show_markdown(found: Answer) -> None:
    from experiments.answer.tables import markdown

    print(f"**{found.sentence}**\n\n{markdown(found)}")


def _show(found: Answer, console: Console) -> None:
    from experiments.answer.tables import tables

    console.print(*tables(found))
    for sentence in (*found.assumptions, *found.reasons):
        console.print(sentence, highlight=False, markup=False)
    console.print(f"\n{found.sentence}", highlight=False, markup=False, style="bold")


def _leave_page(folder: Path | None, found: Answer, command: str, console: Console) -> None:
    """Leaves choose.html and choose.json in the folder, by default a new one. Raises UsageError."""
    from experiments.answer.page import write_page

    folder = folder or new_folder(None)
    write_json(folder / ANSWER, found)
    page = write_page(found, command, folder)
    console.print(f"\nPage: {display_path(page.resolve())}", soft_wrap=True, highlight=False, markup=False)


def _measured(options: Namespace, console: Console) -> Measured | None:
    """What a run, or the preflight of a server, says. Raises CommandError."""
    if options.run is not None:
        return _of_run(options.run)
    return _of_server(options, console) if options.server else None


def _of_run(folder: Path) -> Measured:
    from experiments.experiment import experiment_of, read_finished
    from experiments.failover.measured_inputs import measure_inputs
    from experiments.failover.records import FAILOVER

    experiment = experiment_of(folder)
    if experiment.name != FAILOVER:
        raise UsageError(f"{folder}: it is a run of {experiment.name}: give one of {FAILOVER}")
    return measure_inputs(*read_finished(experiment, folder), display_path(folder.resolve()))


def _of_server(options: Namespace, console: Console) -> Measured:
    """Starts one of a user's own and measures it. Raises CommandError."""
    from experiments.testbed.servers.chosen import choose_server
    from experiments.testbed.topologies import Topology

    one = Topology("one", {"predict1": {"status": True, "load": 0, "port": 0}})
    asked = Namespace(server=options.server, service_time=None)
    capacity = round((options.threshold or DEFAULTS["threshold"]).value)
    chosen = choose_server(asked, [one], PROJECT, console, service_time_s=0.0, capacity=capacity)
    if chosen.record is None:
        raise UsageError(f"argument --server: {options.server}: it names no server of your own: leave it out")
    return of_preflight(chosen.record, options.server)


def of_preflight(record: ServerRecord, server: str) -> Measured:
    """Returns what a preflight says: the service time, the start and, of a server that queues, its saturation.

    `server`: as the command line names it. Raises UsageError for one that takes fewer than its capacity.
    """
    figures, source = record.preflight, f"measured of {record.name}"
    if figures.good_at_once < figures.asked_at_once:
        remedy = "`python -m experiments server FILE` suggests a capacity"
        raise UsageError(f"argument --server: {server}: {figures.why_no_theory}: {remedy}")
    inputs = {
        "service_time": service_time(figures, source),
        "start_time": Input(figures.ready_after_s, "s", f"{source}: from its start to the first good prediction"),
    }
    if record.capacity:
        inputs["threshold"] = Input(record.capacity, "slots", f"the server file {record.file}")
    if figures.why_no_theory and (full := saturation(figures, source)):
        inputs["saturation"] = full
    return Measured(record.name, inputs, queues=figures.why_no_theory, server=server)
