"""Every metric with its name, unit and labels, and the page of their values for Prometheus.

The names are a contract: dashboards and alert rules use them (`docker/grafana`). This module
measures nothing: `scheduler/monitoring/collect.py` fills `MetricValues` when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

PREFIX: Final = "tcdatalogger_"

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of the page of values; every version of Prometheus reads it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: the name without `PREFIX`; it ends in the unit, by the conventions of Prometheus.
        kind: the type in Prometheus; a `counter` never falls.
        help: one line that says what it measures.
        labels: the names of its labels.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


_TABLE: Final = """
build_info                          gauge     version,python    Always 1; the version that runs.
state_up                            gauge     -                 Whether the state database answers.
scheduler_beat_timestamp_seconds    gauge     -                 When the scheduler last went round.
runs_total                          counter   endpoint,status   Runs by what became of them.
run_errors_total                    counter   endpoint,class    Errors that ended runs.
run_duration_seconds_total          counter   endpoint          Time that runs took in all.
run_cpu_seconds_total               counter   endpoint          Processor time of runs.
run_peak_memory_bytes               gauge     endpoint          The most that the last run held.
run_step_duration_seconds           histogram step              How long the steps of runs took.
rows_stored_total                   counter   endpoint,table    Rows that were stored.
records_quarantined_total           counter   endpoint          Records that were set aside.
records_repeated_total              counter   endpoint          Records that were stored already.
drift_fields_total                  counter   endpoint          Fields that the catalogue lacked.
api_calls_total                     counter   endpoint          Calls of Torn's API.
api_answers_without_data_total      counter   endpoint          Answers that had no data.
api_response_bytes_total            counter   endpoint          Bytes that Torn answered.
api_call_duration_seconds           histogram -                 How long calls of Torn took.
api_window_calls                    gauge     owner             Calls in the rolling minute.
api_window_calls_left               gauge     owner             Calls left in the rolling minute.
api_day_rows                        gauge     owner,category    Cloud rows used in 24 hours.
api_day_rows_limit                  gauge     -                 Cloud rows of one category a day.
api_paused                          gauge     who               1 while calls wait for a pause.
torn_up                             gauge     -                 Whether Torn is believed to answer.
key_health                          gauge     key,health        1 for the health that a key has.
endpoint_enabled                    gauge     endpoint          Whether the scheduler takes it.
endpoint_last_success_timestamp_seconds gauge endpoint          When its last good run ended.
endpoint_freshness_seconds          gauge     endpoint          Time since its last good run.
endpoint_frequency_seconds          gauge     endpoint          How often it is to run.
endpoint_lateness_seconds           gauge     endpoint          How long a good run is overdue.
endpoint_consecutive_failures       gauge     endpoint          Failed runs since the last good one.
queue_endpoints                     gauge     state             Endpoints by what they wait for.
alerts_open                         gauge     kind              Alerts that are not over.
channel_deliveries_total            counter   channel,result    Messages, accepted or failed.
export_consecutive_failures         gauge     export            Failed runs since the last good one.
channel_consecutive_failures        gauge     channel           Failed since one was accepted.
size_bytes                          gauge     part              Size of what is stored.
disk_free_bytes                     gauge     part              Free space where it is stored.
disk_size_bytes                     gauge     part              Size of the disk it is stored on.
process_cpu_seconds_total           counter   process,endpoint  Processor time of live processes.
process_memory_bytes                gauge     process,endpoint  Resident memory of live processes.
process_read_bytes_total            counter   process,endpoint  Bytes read, network among them.
process_write_bytes_total           counter   process,endpoint  Bytes written, network among them.
processes                           gauge     process           Live processes.
host_network_bytes_total            counter   direction         Network bytes, all programs.
"""


def _metric(line: str) -> Metric:
    name, kind, labels, text = line.split(None, 3)
    found: Any = kind
    return Metric(name, found, text, () if labels == "-" else tuple(labels.split(",")))


METRICS: Final = {metric.name: metric for metric in map(_metric, _TABLE.strip().splitlines())}


@dataclass(slots=True)
class MetricValues:
    """The values of all metrics at one moment.

    Attributes:
        values: of counters and gauges, by name and by the values of the labels.
        buckets: of histograms, likewise; see `spread`.
    """

    values: dict[str, dict[tuple[str, ...], float]] = field(default_factory=dict)
    buckets: dict[str, dict[tuple[str, ...], Mapping[str, float]]] = field(default_factory=dict)

    def add(self, name: str, value: float, **labels: str) -> None:
        """Add to a value: what was added with the same labels is summed.

        Args:
            name: the name of the metric, without the prefix.
            value: what is added.
            labels: a value for each label of the metric.

        Raises:
            KeyError: the metric is not in the table, or a label is missing.
        """
        series = tuple(labels[label] for label in METRICS[name].labels)
        known = self.values.setdefault(name, {})
        known[series] = known.get(series, 0.0) + value

    def fill(self, name: str, values: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """Set many values at once; the last one of a series counts.

        Args:
            name: the name of the metric, without the prefix.
            values: each after the values of its labels, in the order of the metric's.
        """
        self.values.setdefault(name, {}).update(values)

    def spread(self, name: str, counts: Mapping[str, float], **labels: str) -> None:
        """Set a histogram.

        Args:
            name: the name of the metric, without the prefix.
            counts: for each upper bound how many values lie between the bound before and this one;
                under `sum` the sum of all values.
            labels: a value for each label of the metric.

        Raises:
            KeyError: the metric is not in the table, or a label is missing.
        """
        series = tuple(labels[label] for label in METRICS[name].labels)
        self.buckets.setdefault(name, {})[series] = counts


def page(read: Callable[[], MetricValues]) -> tuple[bytes, str]:
    """The values in the text format of Prometheus, and its content type.

    Args:
        read: collects the values.
    """
    measured, escaped, lines = read(), _Escaped(), list[str]()
    for metric in METRICS.values():
        values = measured.values.get(metric.name, {})
        buckets = measured.buckets.get(metric.name, {})
        if values or buckets:
            name = PREFIX + metric.name
            lines.append(f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n")
            lines += _lines(name, metric.labels, values, escaped)
            for series, counts in buckets.items():
                lines += _histogram(name, metric.labels, series, counts, escaped)
    return "".join(lines).encode(), CONTENT_TYPE


class _Escaped(dict[str, str]):
    """Values of labels as the format wants them; each is made once."""

    def __missing__(self, value: str) -> str:
        text = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        self[value] = text
        return text


def _lines(
    name: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float], escaped: _Escaped
) -> Iterator[str]:
    """A line for each series; thousands of endpoints have hundred thousands of them."""
    order = sorted(range(len(labels)), key=labels.__getitem__)
    columns = [[escaped[series[place]] for series in values] for place in order]
    words = ",".join(f'{labels[place]}="%s"' for place in order)
    form = f"{name}{{{words}}} %r\n" if labels else f"{name} %r\n"
    return map(form.__mod__, zip(*columns, map(float, values.values()), strict=True))


def _histogram(
    name: str,
    labels: tuple[str, ...],
    series: tuple[str, ...],
    counts: Mapping[str, float],
    escaped: _Escaped,
) -> Iterator[str]:
    below = _cumulated(counts)
    with_bound = {(*series, bound): total for bound, total in below}
    yield from _lines(f"{name}_bucket", (*labels, "le"), with_bound, escaped)
    yield from _lines(f"{name}_count", labels, {series: below[-1][1]}, escaped)
    yield from _lines(f"{name}_sum", labels, {series: counts.get("sum", 0.0)}, escaped)


def _cumulated(counts: Mapping[str, float]) -> list[tuple[str, float]]:
    """How many values lie below each bound, as Prometheus counts, from those between bounds."""
    bounds = sorted((float(bound), count) for bound, count in counts.items() if bound != "sum")
    total, found = 0.0, []
    for bound, count in bounds:
        total += count
        found.append(("+Inf" if bound == float("inf") else str(bound), total))
    if not found or found[-1][0] != "+Inf":
        found.append(("+Inf", total))
    return found
