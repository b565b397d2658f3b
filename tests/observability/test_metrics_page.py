"""The page of metrics, as Prometheus' own library reads and writes it."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, core, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tcdatalogger.observability.metrics import METRICS, PREFIX, MetricValues, page

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n{},= '), max_size=12
)
NUMBERS = st.floats() | st.integers(0, 2**60) | st.booleans() | st.just(0)
PLAIN = sorted(metric.name for metric in METRICS.values() if metric.kind != "histogram")
SPREAD = {"0.05": 1, "300.0": 2, "+Inf": 4, "sum": 1201.5}


def read(text):
    """Every sample of a page; a value that is no number equals no other, so its text counts."""
    return {
        (family.name, family.type, family.documentation, sample.name,
         *sorted(sample.labels.items())): repr(float(sample.value))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }  # fmt: skip


@st.composite
def measured(draw):
    """Values of some metrics."""
    made = MetricValues()
    for name in draw(st.sets(st.sampled_from(PLAIN), max_size=6)):
        series = st.tuples(*[TEXTS] * len(METRICS[name].labels))
        made.fill(name, draw(st.dictionaries(series, NUMBERS, max_size=4)).items())
    for step in draw(st.sets(TEXTS, max_size=2)):
        made.spread("run_step_duration_seconds", SPREAD, step=step)
    return made


class Theirs:
    """The same values for the library."""

    def __init__(self, made):
        self.made = made

    def collect(self):
        for metric in METRICS.values():
            name, labels = PREFIX + metric.name, metric.labels
            if metric.name in self.made.buckets:
                family = core.HistogramMetricFamily(name, metric.help, labels=labels)
                for series in self.made.buckets[metric.name]:
                    buckets = [("0.05", 1), ("300.0", 3), ("+Inf", 7)]
                    family.add_metric(series, buckets, SPREAD["sum"])
                yield family
            elif self.made.values.get(metric.name):
                kinds = {"counter": core.CounterMetricFamily, "gauge": core.GaugeMetricFamily}
                family = kinds[metric.kind](name, metric.help, labels=labels)
                for series, value in self.made.values[metric.name].items():
                    family.add_metric(series, value)
                yield family


@given(measured())
def test_whatever_is_in_it_the_page_says_what_prometheus_own_library_would_say(made):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Theirs(made))
    theirs = generate_latest(registry).decode()

    ours, kind = page(lambda: made)

    assert read(ours.decode()) == read(theirs)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"


def test_numbers_are_exact():
    made = MetricValues()
    for owner, value in {"a": 0.1, "b": 1e300, "c": 2**53 + 1, "d": math.inf}.items():
        made.add("api_window_calls", value, owner=owner)

    found = {key[-1][1]: value for key, value in read(page(lambda: made)[0].decode()).items()}

    assert found == {
        "a": "0.1", "b": "1e+300", "c": repr(float(2**53 + 1)), "d": "inf",
    }  # fmt: skip


def test_what_is_added_is_summed_and_what_is_filled_in_counts():
    made = MetricValues()
    made.fill("runs_total", [(("a", "done"), 0), (("a", "done"), 3)])
    made.add("runs_total", 2, endpoint="a", status="done")

    text = page(lambda: made)[0].decode()

    assert 'tcdatalogger_runs_total{endpoint="a",status="done"} 5.0\n' in text
