"""How an experiment can end early, one exception per way, each with the exit status that a caller sees."""

import signal


class ExperimentError(Exception):
    """An experiment that cannot go on; the text is one line for the user, or a line and a log's last lines."""

    exit_status = 1


class UsageError(ExperimentError):
    """A user's mistake: the bad value, where it stands, what is accepted."""

    exit_status = 2


class InterruptedBySignalError(ExperimentError):
    """Somebody asked the experiment to stop (Ctrl-C, SIGTERM, a closed terminal)."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_status = 128 + signum
