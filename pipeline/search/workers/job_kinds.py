"""Which module does a job: a network's, or that of a loop of the user's own."""

from collections.abc import Iterator

from pipeline.search.workers.job import Frontier, Job, Progress, TrialOutcome
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop


def check_settings(settings: Settings, under_shift: bool) -> None:
    """Raise what every trial of a search would raise before it trains.

    Raises:
        BadInput: see `trial.network.check_trial` and `trial.user_loop.check_loop`.
    """
    if isinstance(settings.trial, UserLoop):
        from pipeline.trial.user_loop import check_loop

        check_loop(settings)
        return
    from pipeline.search.workers import network_job

    network_job.check_settings(settings, under_shift)


def run_job(job: Job, frontier: Frontier) -> Iterator[Progress | TrialOutcome]:
    """Yield each epoch as it ends, and at last how the job ended; `frontier`: as it is known now.

    What a configuration can do wrong is how it ended. Any other exception is an error of the program and is
    raised. A loop of the user's own needs no TensorFlow, so none is imported for it.
    """
    if isinstance(job.settings.trial, UserLoop):
        from pipeline.search.workers import user_job

        return user_job.run_job(job, frontier)
    from pipeline.search.workers import network_job

    return network_job.run_job(job, frontier)
