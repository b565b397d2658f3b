"""Airflow decides when, TCdatalogger does the work: a task for each endpoint.

The task is the command line: its exit codes say what Airflow does (75, somebody else is at it, is a
skip and no failure; what no other try can mend fails at once), its JSON is the task's XCom, and the
claim and the budget are the same that a daemon or a person at the command line would use. The run's
id is made from Airflow's own, so a task that is tried again finds what it has stored and does
nothing twice. TCDATALOGGER_CONFIG of Airflow's workers names the configuration.
"""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, BaseOperator

ENDPOINTS = {
    "faction_members": "*/15 * * * *",
    "faction_crimes": "*/15 * * * *",
    "torn_items": "0 4 * * *",
}
BUSY = 75
FATAL = frozenset({2, 65, 77, 78})
"""Wrong usage, refused data, a refused key, a wrong configuration: another try changes nothing."""


class TCdataloggerOperator(BaseOperator):
    """Run one endpoint."""

    def __init__(self, *, endpoint: str, **options: Any) -> None:
        super().__init__(**options)
        self.endpoint = endpoint
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> Any:
        """Run it to its end; returns what it printed as JSON."""
        told = (context["dag"].dag_id, context["dag_run"].run_id, str(context["ti"].map_index))
        run_id = f"airflow-{sha256(json.dumps(told).encode()).hexdigest()[:24]}"
        words = ["tcdatalogger", "run", self.endpoint, "--json", "--run-id", run_id]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ours
        printed, _ = self._process.communicate()
        code = self._process.returncode
        if code == BUSY:
            raise AirflowSkipException(f"exit code {code}: {printed}")
        if code in FATAL:
            raise AirflowFailException(f"exit code {code}: {printed}")
        if code:
            raise AirflowException(f"exit code {code}: {printed}")
        return json.loads(printed)

    def on_kill(self) -> None:
        """End the run as Airflow ends the task: it stops within ten seconds."""
        if self._process is not None:
            self._process.terminate()


for name, schedule in ENDPOINTS.items():
    with DAG(
        dag_id=f"tcdatalogger_{name}",
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,  # what was missed is asked for in one run: lists are read on from a cursor
        max_active_runs=1,
        tags=["tcdatalogger"],
    ) as dag:
        TCdataloggerOperator(
            task_id="run",
            endpoint=name,
            retries=3,
            retry_delay=timedelta(minutes=1),
            retry_exponential_backoff=True,
            execution_timeout=timedelta(minutes=30),
        )
    globals()[dag.dag_id] = dag
