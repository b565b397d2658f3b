"""Airflow decides when, TCdatalogger does the work: a task for each endpoint.

The task is the command line: its exit codes say what Airflow should do (75, somebody else is at it,
is a skip and no failure), its JSON on standard output is the task's XCom, and the lease and the
budget are the same that a daemon or a person at the command line would use. The run's id is made
from Airflow's own, so a task that is tried again finds what it has stored and does nothing twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

ENDPOINTS = {
    "faction_members": "*/15 * * * *",
    "faction_crimes": "*/15 * * * *",
    "torn_items": "0 4 * * *",
}
BUSY = 75

for name, schedule in ENDPOINTS.items():
    with DAG(
        dag_id=f"tcdatalogger_{name}",
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,  # what was missed is asked for in one run: lists are read on from a cursor
        max_active_runs=1,
        tags=["tcdatalogger"],
    ) as dag:
        BashOperator(
            task_id="run",
            bash_command=(
                f"tcdatalogger run {name} --json "
                "--run-id airflow-{{ dag.dag_id }}-{{ ts_nodash | replace('+', '') }}"
            ),
            env={"TCDATALOGGER_CONFIG": "/etc/tcdatalogger/tcdatalogger.toml"},
            append_env=True,
            skip_on_exit_code=BUSY,
            do_xcom_push=True,
            retries=3,
            retry_delay=timedelta(minutes=1),
            retry_exponential_backoff=True,
            execution_timeout=timedelta(minutes=30),
        )
    globals()[dag.dag_id] = dag
