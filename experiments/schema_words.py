"""Words for docs/results-schema.md: its head, what each file is, and fields that nothing else explains."""

HEAD = """\
# The files of a run folder, field by field

`python -m experiments compare`, `failover` and `blocking` leave raw records in `results/<run>/`; `summary.json`,
charts and `report.html` are computed from them alone. A summary names its layout in `schema` (`compare/1`,
`failover/1`, `blocking/1`): the number changes when a field is renamed, moved or given another meaning; a new
field does not change it.

Paths: `[]` stands for each entry of a list, `.*` for each entry of an object. Moments are seconds since 1970
(epoch) unless said otherwise. A cell of a CSV file that is empty is an empty text. A file of records is of the run
in whose folder it stands; `python -m experiments export results/<run>` joins those of all runs into one table whose
first column, `run`, names the folder.

Figures over repeats are objects of `median`, `low`, `high` (the range) and `count` (the runs in which there was
such a figure), or null where there was none in any run. Theory's figures are objects of `median`, `p5` and `p95`:
90 % of runs lie between the last two.

This page is made from the classes that write the files: `python -m experiments.schema > docs/results-schema.md`. A
test holds it to them.
"""

AS_COMPARE = (
    "`loads.csv`, `events.json` and the swarms in `capacity-all-up/` and `capacity-domain-down/` are laid out as in a "
    "comparison."
)

FILES = {
    ("compare", "summary.json"): "The comparison: what report, tables and charts show.",
    ("compare", "settings.json"): "What was asked for, on which machine; written before the first run.",
    ("compare", "run.json"): "One run, in `<topology>-<repeat>/`; written last: a folder without it is unfinished.",
    ("compare", "requests.csv"): "One row per finished request, by the swarm (`requests.<n>.csv` by a worker).",
    ("compare", "first_failure.json"): "The first failed request of a run, by the swarm; missing when nothing failed.",
    ("compare", "loads.csv"): "One row per predictor, about five times a second, from the admin port.",
    ("compare", "events.json"): "A list of these: the router's own event log.",
    ("failover", "summary.json"): "The scorecard: what report, tables and charts show.",
    ("failover", "settings.json"): "What was asked for, on which machine; written before the first run.",
    ("failover", "run.json"): f"One run, in `<topology>-<repeat>/`; written last. {AS_COMPARE}",
    ("failover", "requests.csv"): "One row per finished request (`requests.<kind>.csv`: surge and oversize bodies).",
    ("failover", "faults.csv"): "One row per step of a fault.",
    ("blocking", "summary.json"): "The points beside Erlang B: what report, table and chart show.",
    ("blocking", "settings.json"): "What was asked for, on which machine; written before the first point.",
    ("blocking", "run.json"): "One point, in `<slots>-slots-<percent>/`; written last.",
    ("blocking", "requests.csv"): "One row per request, by the generator, those of the warm-up too.",
}
"""Experiment and file -> what it is."""

LATENCY = "from sending to the end of the answer, or to the failure"

FIELDS = {
    # any class
    "experiment": "which experiment's records these are",
    "schema": "name and version of this layout",
    "finding": "the result in sentences, the headline first",
    "settings": "as in settings.json",
    "definitions": "figure -> its definition in one sentence",
    "machine": "processor, cores, memory, system, and the load average when it began",
    "versions": "Python, the project's commit, and each package that shapes the figures",
    "topology": "the topology's name",
    "slots": "the most requests in flight with every predictor in rotation, standbys included",
    "roles": "predictor -> active or standby, by plan",
    "capacities": "predictor -> its capacity, the most requests in flight that it is given",
    "regions": "predictor -> its region, for those whose entry names one",
    "name": "the topology's name",
    "repeats": "how many runs of each topology were asked for",
    "repeat": "the run's number among those of its topology, from 1",
    "seed": "what repeats the random choices",
    "service_time_s": "how long a prediction takes",
    "threshold": "capacity of a predictor whose entry names none",
    "hold_down_s": "the router's hold-down",
    "ended_at_s": "epoch seconds when it had ended",
    "sent_at_s": "epoch seconds",
    "latency_s": LATENCY,
    "predictor": "who answered, or whom it is about; empty where nobody did",
    "capacity": "the predictor's capacity",
    "status": "whether it was in rotation",
    "load": "its requests in flight, as the router counts them",
    "fault": "the fault's name",
    "time_s": "epoch seconds",
    "sentence": "the verdict in words, with its figures",
    # compare
    "ComparisonSummary.topologies": "one entry per topology with a finished run, in the order asked for",
    "ComparisonSummary.agreement": "each pair of topologies that failed by saturation only",
    "TopologyFigures.runs": "one entry per finished run",
    "TopologyFigures.causes": "cause -> number of runs whose first failure had it",
    "TopologyFigures.loads": "predictor -> its load and peak load at the first failure",
    "TopologyFigures.theory": "what queueing theory expects of one run at these settings",
    "TopologyFigures.runs_inside_theory": "how many runs' rates lie in theory's range of 90 %",
    "TopologyFigures.post": "what the blog post gives for this topology",
    "JudgedRun.outcome": "how it ended: first_failure, or no_failure within the run time",
    "JudgedRun.first_failure": "the figures of the run's first failure; null when nothing failed",
    "JudgedRun.inside_theory": "whether its rate lies in theory's range of 90 %; null where one of them is missing",
    "FailureFigures.loads": "predictor -> its figures at that moment",
    "PostFigures.rate_at_failure_per_s": "the post's RPS at failure",
    "PostFigures.loads": "predictor -> the post's load after its test",
    "PairVerdict.topologies": "the two that are compared",
    "PairVerdict.verdict": "agree, differ or not decided",
    "PairVerdict.difference_per_s": "of the medians of the rates at first failure",
    "PairVerdict.single_runs_vary_by_per_s": "by theory, 9 in 10 pairs of single runs are no further apart than this",
    "PairVerdict.medians_vary_by_per_s": "the same of medians of as many runs as were done: the pair is judged by it",
    "Settings.topologies": "the topologies, in the order asked for",
    "Settings.spawn_rate_per_s": "new users per second",
    "Settings.users_limit": "the most users",
    "Run.outcome": "how it ended: first_failure, or no_failure within the run time",
    "Request.method": "GET or POST",
    "Request.users": "users in the swarm when it finished; in a worker's file those of that worker",
    "FirstFailure.time_s": "epoch seconds when the first failed request was sent",
    "FirstFailure.window_s": "the length of the window before it: 10 s, or the run's age where that is less",
    "FirstFailure.requests_in_window": "requests sent in that window",
    "FirstFailure.status": "HTTP status; 0 when there was no answer",
    "FirstFailure.topology": "its name as the router told it; null when the admin port did not answer",
    "LoadSample.state": "the router's word: serving, standby, draining, drained, down and so on",
    "LoadSample.served": "good answers so far",
    "LoadSample.failed": "failed requests so far",
    "Event.event": "what happened: ejected, promoted, readmitted, demoted, drained, ready and so on",
    "Event.reason": "why, in words",
    # failover
    "Settings.faults": "the faults of a run, in their order",
    "Settings.capacity_service_time_s": "how long a prediction takes in the swarms that measure production capacity",
    "Settings.capacity_wait_s": "the least and the most wait of their users",
    "Offered.kind": "what it is: normal, surge or oversize",
    "Action.action": "what was done: injected, repair, repaired, put back (a standby that the load kept promoted), "
    "recovered, window ended, skipped, or a fault's own",
    # blocking
    "BlockingSummary.points": "one entry per finished point, by slots and rate",
    "Point.slots": "the sum of the capacities",
    "PointFigures.low": "the lower end of Wilson's 95 % interval of the refused share",
    "PointFigures.high": "its upper end",
}
"""Class and field, or a field of any class -> what it is; the former goes before all else."""
