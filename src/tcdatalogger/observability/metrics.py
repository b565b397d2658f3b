"""Every metric with its name, unit and labels, and the page of their values for Prometheus.

The names are a contract: dashboards and alert rules use them (`docker/grafana`). This module
measures nothing: `scheduler/monitoring/collect.py` fills `MetricValues` when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

PREFIX: Final = "tcdatalogger_"


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


def page(read: Callable[[], MetricValues], accept: str) -> tuple[bytes, str]:
    """The values in a format of Prometheus, and its content type.

    Args:
        read: collects the values.
        accept: the header `Accept` of the request; it chooses the format.
    """
    from prometheus_client import CollectorRegistry, exposition  # noqa: PLC0415  # when asked

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(read))
    encode, kind = exposition.choose_encoder(accept)
    return encode(registry), kind


class _Collector:
    """Gives prometheus_client the values when it asks."""

    def __init__(self, read: Callable[[], MetricValues]) -> None:
        self._read = read

    def describe(self) -> list[Any]:
        """Nothing: to register must not collect values."""
        return []

    def collect(self) -> Iterator[Any]:
        measured = self._read()
        for metric in METRICS.values():
            if metric.name in measured.values or metric.name in measured.buckets:
                yield _family(metric, measured)


def _family(metric: Metric, measured: MetricValues) -> Any:
    from prometheus_client import core  # noqa: PLC0415  # as above

    name = PREFIX + metric.name
    if metric.kind == "histogram":
        histogram = core.HistogramMetricFamily(name, metric.help, labels=metric.labels)
        for series, counts in measured.buckets[metric.name].items():
            histogram.add_metric(series, _cumulated(counts), counts.get("sum", 0.0))
        return histogram
    kind = core.CounterMetricFamily if metric.kind == "counter" else core.GaugeMetricFamily
    family = kind(name, metric.help, labels=metric.labels)
    for series, value in measured.values[metric.name].items():
        family.add_metric(series, value)
    return family


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
