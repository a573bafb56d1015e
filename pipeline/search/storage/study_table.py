"""The rows of one study: read at the price of what is new, added whole, and ended."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import IntegrityError

from pipeline.errors import BadSetting
from pipeline.search.storage.bulk_writing import insert_study
from pipeline.search.storage.held_trials import TrialEnd
from pipeline.search.storage.our_studies import ABOUT, ONCE, OUTCOME, explain_foreign, make_directions
from pipeline.search.storage.study_rows import MISSING, StudyRows
from pipeline.search.storage.task_rows import TaskRows
from pipeline.search.storage.trial_states import REQUEUES, SPENT, SURPLUS, is_trial


@dataclass(frozen=True, slots=True)
class ProposedTrial:
    """A trial that a sampler chose: values by dimension, and what the sampler wants to remember of it.

    `position`: its number in the copy of the study that the sampler knows.
    """

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    system_attrs: Mapping[str, Any]
    position: int = -1


class StudyTable:
    """The rows of one study in a storage that is open."""

    def __init__(self, storage: Any, name: str, study_id: int, is_queue: bool = False) -> None:
        """Read nothing yet.

        `storage`: as `open_storage` gives it; `study_id`: MISSING for no study; `is_queue`: the rows are
        those of the tasks that follow the study.
        """
        self._storage, self.name, self._id = storage, name, study_id
        rows = TaskRows if is_queue else StudyRows
        self._table: TaskRows | StudyRows = rows(storage, study_id, is_trial)

    def read_attrs(self) -> dict[str, Any]:
        """Return what is written down about the study itself."""
        attrs: dict[str, Any] = self._storage.get_study_user_attrs(self._id)
        return attrs

    def write_attr(self, key: str, value: Any) -> None:
        """Write down a value about the study itself."""
        self._storage.set_study_user_attr(self._id, key, value)

    def list_run_ids(self) -> list[str]:
        """List the runs of the trials that have ended, in their order."""
        outcomes = [row.user_attrs.get(OUTCOME) or {} for row in self.trials()]
        return [outcome["run_id"] for outcome in outcomes if outcome.get("run_id")]

    def discard_if_empty(self) -> None:
        """Delete the study again where nothing was ever begun in it."""
        if not self._rows():
            self._storage.delete_study(self._id)

    def trials(self) -> list[FrozenTrial]:
        """Return all trials in the order in which they were begun.

        Without those left over from a race, and those that another program has put into the study.
        """
        return self._table.list_wanted()

    def count_begun(self) -> int:
        """Count the trials that there are or will be; an interrupted one and its next try are one."""
        return sum(REQUEUES not in row.user_attrs for row in self.trials())

    def _rows(self) -> list[FrozenTrial]:
        return self._table.list_all()

    # ---- rows -------------------------------------------------------------------------------------------

    def _create_row(
        self, state: TrialState, proposal: ProposedTrial, attrs: Mapping[str, Any]
    ) -> FrozenTrial:
        """Add a row and return it; a running one has its first heartbeat."""
        return self._create_rows(state, [(proposal, attrs)])[0]

    def _create_rows(
        self, state: TrialState, proposals: Sequence[tuple[ProposedTrial, Mapping[str, Any]]]
    ) -> list[FrozenTrial]:
        templates = [
            create_trial(
                state=state,
                params=dict(proposal.params),
                distributions=dict(proposal.distributions),
                system_attrs=dict(proposal.system_attrs),
                user_attrs=dict(attrs),
            )
            for proposal, attrs in proposals
        ]
        return self._table.create(templates)

    def _is_surplus(self, row: FrozenTrial, limit: int | None) -> bool:
        """Return whether `limit` trials had begun before this one."""
        if limit is None:
            return False
        begun_before = sum(
            trial.number < row.number and REQUEUES not in trial.user_attrs for trial in self.trials()
        )
        return REQUEUES not in row.user_attrs and begun_before >= limit

    def _is_duplicate(self, row: FrozenTrial) -> bool:
        once = row.user_attrs.get(ONCE)
        return once is not None and any(
            earlier.number < row.number and earlier.user_attrs.get(ONCE) == once for earlier in self._rows()
        )

    def _fail(self, row: FrozenTrial, surplus: bool = False, spent_seconds: float | None = None) -> bool:
        """End a trial without an outcome; False where another process was faster."""
        attrs: dict[str, Any] = {SURPLUS: True} if surplus else {}
        if spent_seconds is not None:
            attrs[SPENT] = round(spent_seconds, 6)
        end = TrialEnd(TrialState.FAIL, (), attrs, before=row.state)
        return not row.state.is_finished() and self._end(row, end)

    def _end(self, row: FrozenTrial, end: TrialEnd) -> bool:
        """End a row; False where it is not in the state `before`, and nothing is written."""
        return bool(self._table.end({row._trial_id: end}))


def create_study(storage: Any, name: str, about: Mapping[str, Any]) -> int:
    """Create a study unless it is there, and return its id; `about`: what is written down about it.

    Both are written at once, so that an empty study of another program is known by having no such words.
    """
    if find_study(storage, name) == MISSING:
        with suppress(IntegrityError), storage._backend.engine.begin() as connection:  # made meanwhile
            insert_study(connection, name, make_directions(about), {ABOUT: dict(about)})
    return int(storage.get_study_id_from_name(name))


def find_foreign(storage: Any, name: str) -> BadSetting | None:
    """Return the error for a study that is none of ours; None where it is, or where there is none."""
    study_id = find_study(storage, name)
    reason = None if study_id == MISSING else explain_foreign(storage, study_id)
    if reason is None:
        return None
    return BadSetting(
        f"search.study={name} is no study of ours in search.storage ({reason}); "
        "choose another name with search.study=NAME"
    )


def find_our_study(storage: Any, name: str) -> int:
    """Find a study that is one of ours; MISSING where there is none."""
    study_id = find_study(storage, name)
    return MISSING if study_id == MISSING or explain_foreign(storage, study_id) else study_id


def find_study(storage: Any, name: str) -> int:
    """Find a study, whose ever it is; MISSING where there is none."""
    try:
        return int(storage.get_study_id_from_name(name))
    except KeyError:
        return MISSING
