"""Answers as pictures: SVG for every kind of chart, and PNG of it."""

from __future__ import annotations

import builtins
import re
import struct
from datetime import UTC, date, datetime, timedelta
from typing import get_args
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest

from tcdatalogger.errors import ConfigError
from tcdatalogger.questions import question
from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.pictures import letters
from tcdatalogger.questions.pictures.colours import DARK, LIGHT, contrast
from tcdatalogger.questions.pictures.picture import svg
from tcdatalogger.questions.pictures.png import png, png_apart
from tcdatalogger.questions.relations import Lack

NOW = datetime(2026, 9, 14, 23, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
KINDS = get_args(question.Kind)
DAY = date(2026, 8, 1)
CHARTS = {
    "tiles": 'kind = "tiles", label = "name", values = ["money"]',
    "list": 'kind = "list", label = "name", values = ["money"]',
    "bars": 'kind = "bars", label = "name", values = ["money"]',
    "stack": 'kind = "stack", label = "name", values = ["money", "items"]',
    "line": 'kind = "line", label = "day", values = ["money"], series = "name"',
    "heat": 'kind = "heat", label = "name", across = "hour", values = ["money"]',
    "matrix": 'kind = "matrix", label = "name", across = "position", values = ["money"]',
    "table": 'kind = "table", label = "name"',
}


def answered(rows, chart, *, units='money = "money", items = "money"', lacks=(), title="Who?"):
    text = (
        f'/*\ntitle = "{title}"\npage = "crimes"\ncaption = "In {{days}} days."\n'
        f'chart = {{ {chart} }}\nunits = {{ {units} }}\nlinks = {{ name = "id" }}\n[needs]\n*/\n'
        "select 1\n"
    )
    asked = question.read(text, "mine", "mine.sql")
    table = None if rows is None else pa.Table.from_pylist(rows)
    return Answer(asked, table, {"days": 30, "until": NOW}, lacks=tuple(lacks))


def row(name, at=0, **facts):
    return {
        "name": name,
        "day": DAY + timedelta(days=at % 7),
        "hour": at % 24,
        "position": "Leader" if at % 2 else "Member",
        "money": 1_000_000 * (at + 1),
        "items": 250_000 * at,
        "id": 777_000 + at,
        **facts,
    }


def texts(picture):
    return [each.text for each in ET.fromstring(picture).iter(f"{SVG}text")]


def height(picture):
    return float(ET.fromstring(picture).get("height"))


def boxes(picture, colour):
    return [
        each
        for each in ET.fromstring(picture).iter(f"{SVG}rect")
        if each.get("fill") == colour and each.get("width") != "900"
    ]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_chart_is_a_picture_900_wide_that_says_what_it_is(kind, dark):
    rows = [row(f"Member{at}", at) for at in range(8)]
    picture = svg(answered(rows, CHARTS[kind]), dark=dark)

    root = ET.fromstring(picture)
    assert root.get("width") == "900"
    assert root.find(f"{SVG}title").text == "Who?"
    said = texts(picture)
    assert said[:2] == ["Who?", "In 30 days."]
    assert said[-2:] == ["TCdatalogger · ask mine", "As of 14 Sep 2026, 23:00 TCT"]
    assert any("Member3" in text for text in said)
    assert not any("777" in text for text in said)
    ground = root.find(f"{SVG}rect").get("fill")
    assert ground == (DARK if dark else LIGHT).paper


@pytest.mark.parametrize("kind", KINDS)
def test_what_strangers_write_is_text_in_every_kind_of_chart(kind):
    names = ["<script>alert(1)</script>", "]]>", "&amp;", "a\x1b[31mb\x00", "\ufffe\ud800", "\"'>"]
    rows = [row(name.encode("utf-8", "ignore").decode(), at) for at, name in enumerate(names)]
    rows += [row("x", 6, position="<b onload='x'>")]
    picture = svg(answered(rows, CHARTS[kind], title="<Who> & what?"))

    root = ET.fromstring(picture)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg", "title", "desc", "rect", "text", "path", "circle",
    }  # fmt: skip
    assert "<Who> & what?" in texts(picture)
    assert any("script" in text for text in texts(picture))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]", picture)


@pytest.mark.parametrize("kind", KINDS)
def test_long_lists_are_cut_and_say_how_many_are_left_out(kind):
    rows = [row(f"Member{at}", at, position=f"p{at}", day=DAY) for at in range(90)]
    picture = svg(answered(rows, CHARTS[kind]))

    assert any(re.search(r"… and \d+ more", text) for text in texts(picture))
    height = int(ET.fromstring(picture).get("height"))
    assert height < 1_100


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_and_numbers_that_are_none_are_drawn_as_nothing(kind):
    rows = [row("a", 1), row("b", 2, money=None), row("c", 3, items=None)]
    rows = [{**each, "share": each["money"] and float("nan")} for each in rows]
    picture = svg(answered(rows, CHARTS[kind]))

    assert "nan" not in picture.lower().replace("financ", "")
    ET.fromstring(picture)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_without_rows_says_so_and_one_without_data_says_why(kind):
    lack = Lack("/faction/x", "Nothing logs /faction/x yet.", "…", blocks=True)

    assert "Nothing: no rows." in texts(svg(answered([], CHARTS[kind])))
    assert "Nothing is stored for it yet." in texts(svg(answered(None, CHARTS[kind])))
    assert lack.says in texts(svg(answered(None, CHARTS[kind], lacks=[lack])))


def test_what_makes_an_answer_inexact_stands_below_it():
    lack = Lack("/faction/x", "x is read every P1D, not every PT1H.", "…", blocks=False)

    said = texts(svg(answered([row("a")], CHARTS["bars"], lacks=[lack])))
    assert "▲ x is read every P1D, not every PT1H." in said


def test_bars_are_as_long_as_their_values_from_zero():
    rows = [row("a", money=40), row("b", money=20), row("c", money=-10)]
    picture = svg(answered(rows, CHARTS["bars"]))

    long, half = boxes(picture, LIGHT.accent)
    (below,) = boxes(picture, LIGHT.second)
    assert float(long.get("width")) == pytest.approx(2 * float(half.get("width")), abs=0.02)
    assert float(long.get("width")) == pytest.approx(4 * float(below.get("width")), abs=0.05)
    zero = float(long.get("x"))
    assert float(below.get("x")) + float(below.get("width")) == pytest.approx(zero, abs=0.02)


def test_stacked_bars_lie_end_to_end_and_tell_their_sum():
    rows = [row("a", money=3_000_000, items=1_000_000), row("b", money=0, items=2_000_000)]
    picture = svg(answered(rows, CHARTS["stack"]))

    of_money = [each for each in boxes(picture, LIGHT.accent) if each.get("height") == "16"]
    of_items = [each for each in boxes(picture, LIGHT.second) if each.get("height") == "16"]
    end = float(of_money[0].get("x")) + float(of_money[0].get("width"))
    assert float(of_items[0].get("x")) == pytest.approx(end, abs=0.02)
    assert {"$4.00m", "$2.00m", "in all", "money", "items"} <= set(texts(picture))


def test_bars_of_days_are_columns_from_left_to_right():
    rows = [row("x", at, day=DAY + timedelta(days=3 - at), money=at + 1) for at in range(4)]
    chart = 'kind = "bars", label = "day", values = ["money"]'
    found = boxes(svg(answered(rows, chart)), LIGHT.accent)

    by_place = sorted(found, key=lambda each: float(each.get("x")))
    heights = [float(each.get("height")) for each in by_place]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] == pytest.approx(4 * heights[3], abs=0.1)


def test_a_line_far_above_zero_says_that_its_axis_does_not_begin_there():
    def said(*values):
        rows = [row("x", at, money=value) for at, value in enumerate(values)]
        return texts(svg(answered(rows, 'kind = "line", label = "day", values = ["money"]')))

    assert "The axis begins at $120m, not at zero." in said(121 * 10**6, 127 * 10**6)
    assert not any("not at zero" in text for text in said(1, 120 * 10**6))


def test_a_line_is_broken_where_a_value_is_missing():
    rows = [row("x", at, money=None if at == 3 else 5) for at in range(7)]
    picture = svg(answered(rows, 'kind = "line", label = "day", values = ["money"]'))

    lines = [e for e in ET.fromstring(picture).iter(f"{SVG}path") if e.get("stroke-width") == "2"]
    assert len(lines) == 2


@pytest.mark.parametrize("kind", ["line", "stack"])
def test_a_picture_of_very_many_points_has_those_that_can_be_seen(kind):
    peak, second = 10**12, timedelta(seconds=1)
    rows = [
        row(f"m{at % 50}", money=peak if at == 5_003 else at % 50, day=NOW + at * second)
        for at in range(8_000)
    ]
    chart = f'kind = "{kind}", label = "day", values = ["money"]'

    one = svg(answered(rows, chart))
    many = svg(answered(rows, f'{chart}, series = "name"'))

    assert len(one) < 120_000
    assert len(many) < 120_000
    if kind == "line":
        [path] = [e for e in ET.fromstring(one).iter(f"{SVG}path") if e.get("stroke-width") == "2"]
        heights = [float(y) for _, y in re.findall(r"([\d.]+)[ ,]([\d.]+)", path.get("d"))]
        assert max(heights) - min(heights) > 250
    assert "and 43 more" in many
    if kind == "stack":
        assert "The first 7,000 columns are left out." in one


def test_a_heat_map_of_weekdays_has_all_days_and_hours_also_those_without_rows():
    rows = [{"weekday": 2, "hour": 5, "active": 3.0}, {"weekday": 6, "hour": 7, "active": 9.0}]
    chart = 'kind = "heat", label = "weekday", across = "hour", values = ["active"]'
    picture = svg(answered(rows, chart, units='weekday = "weekday"'))

    assert {"Mon", "Sun", "0", "21"} <= set(texts(picture))
    framed = [e for e in ET.fromstring(picture).iter(f"{SVG}rect") if e.get("fill") == "none"]
    assert len(framed) == 7 * 24 - 2


def test_a_chart_that_names_no_column_of_the_answer_is_a_table():
    said = texts(svg(answered([row("a")], 'kind = "heat", label = "nobody", values = ["none"]')))

    assert {"name", "position", "a", "Member"} <= set(said)


def test_ratings_have_a_word_and_a_shape():
    rows = [{"name": name, "verdict": verdict, "id": 1} for name, verdict in
            [("a", "good"), ("b", "warn: too few"), ("c", "bad: not seen")]]  # fmt: skip
    picture = svg(answered(rows, CHARTS["table"], units='verdict = "rating"'))

    assert {"good", "too few", "not seen"} <= set(texts(picture))
    assert len(boxes(picture, LIGHT.bad)) == 1
    assert len(list(ET.fromstring(picture).iter(f"{SVG}circle"))) == 1


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_text_can_be_read_on_its_ground(colours):
    for ink in (colours.ink, colours.mute, colours.good, colours.warn, colours.bad):
        assert contrast(ink, colours.paper) >= 4.5
    for step in range(101):
        ground = colours.of_share(step / 100)
        assert contrast(colours.on(ground), ground) >= 4.5
    for colour in colours.series:
        assert contrast(colour, colours.paper) >= 2.4


def test_a_text_is_cut_and_wrapped_to_a_width():
    text = "Members whose last action was long ago, and more of them"

    cut = letters.cut(text, 100, 14)
    assert cut.endswith("…")
    assert letters.width(cut, 14) <= 100 < letters.width(text, 14)
    lines = letters.wrapped(text, 120, 14, 3)
    assert len(lines) == 3
    assert all(letters.width(line, 14) <= 120 for line in lines)
    assert letters.wrapped(text, 10_000, 14, 3) == [text]


@pytest.mark.parametrize("facts", [{"money": None}, {"name": None, "money": None}])
def test_a_line_without_a_number_is_a_table_as_on_a_page(facts):
    said = texts(svg(answered([row("Ann", at) | facts for at in range(2)], CHARTS["line"])))

    assert "money" in said
    assert "2026-08-01" in said


def test_a_line_that_nobody_has_named_is_drawn():
    picture = svg(answered([row(None, at) for at in range(2)], CHARTS["line"]))

    assert "$2.00m" in texts(picture)


# --- PNG -----------------------------------------------------------------------------------------


def size(data):
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


def test_a_png_is_twice_as_large_and_drawn_with_the_font_that_is_shipped():
    picture = svg(answered([row("IvoryLark")], CHARTS["bars"]))
    height = int(ET.fromstring(picture).get("height"))

    assert size(png(picture)) == (1800, 2 * height)
    assert letters.covered("IvoryLark Ünï — ▲ Жук")
    assert not letters.covered("漢")
    without = picture.replace("IvoryLark", "")
    assert png(without) != png(picture)


def test_a_picture_that_is_drawn_apart_is_the_same_and_leaves_this_process_alone(monkeypatch):
    picture = svg(answered([row("Ünï <b>")], CHARTS["bars"]))
    drawn = png(picture)
    monkeypatch.setattr("resvg_py.svg_to_bytes", None)

    assert png_apart(picture) == drawn


def test_a_text_is_as_wide_as_it_was_reckoned():
    text = "Iron-Hammer 0123456789 $51.8m"
    end = letters.width(text, 20, bold=True)

    def covered_from(x):
        return png(
            '<svg xmlns="http://www.w3.org/2000/svg" width="500" height="40" font-family="Inter">'
            '<rect width="500" height="40" fill="#fff"/><text y="25" font-size="20" '
            f'font-weight="600">{text}</text><rect x="{x}" width="500" height="40" fill="#fff"/>'
            "</svg>"
        )

    assert covered_from(end + 1) == covered_from(500)
    assert covered_from(end - 3) != covered_from(500)


def test_without_the_package_the_command_that_installs_it_is_told(monkeypatch):
    real = builtins.__import__

    def none(name, *rest, **named):
        if name == "resvg_py":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(ConfigError, match=r"pip install 'resvg-py"):
        png("<svg/>")


def test_no_cell_is_cut_whose_column_has_room():
    rows = [row("a", share=0.2), row("b", share=0.13), row("c", share=0.07)]
    units = 'money = "money", share = "percent"'
    said = texts(svg(answered(rows, CHARTS["bars"], units=units)))

    assert {"20 %", "13 %", "7 %"} <= set(said)


@pytest.mark.parametrize("kind", ["table", "list", "bars"])
def test_a_text_that_is_longer_than_its_column_is_whole_over_some_lines(kind):
    crew = "VelvetUsher (Robber), Ivory-Mule (Thief), Salty_Baron84 (Muscle), EmberSaint (Driver)"
    rows = [row("a", position=crew), row("b", 1)]
    picture = svg(answered(rows, CHARTS[kind]))

    said = texts(picture)
    assert crew in " ".join(said)
    assert not any("…" in each for each in said)
    short = svg(answered([row("a"), row("b", 1)], CHARTS[kind]))
    assert height(picture) > height(short)


def test_a_text_without_end_is_cut_after_five_lines():
    rows = [row("a", position="word " * 200)]
    said = texts(svg(answered(rows, CHARTS["table"])))

    assert sum(each.startswith("word") for each in said) == 5
    assert sum("…" in each for each in said) == 1


@pytest.mark.parametrize(
    ("amounts", "ticks"), [((0, 1, 2), ["0", "1", "2"]), ((0, 9, 4), ["0", "5", "10"])]
)
def test_an_axis_of_whole_numbers_has_no_halves(amounts, ticks):
    rows = [row("x", at, money=most) for at, most in enumerate(amounts)]
    chart = 'kind = "line", label = "day", values = ["money"]'
    said = texts(svg(answered(rows, chart, units="")))

    assert set(ticks) <= set(said)
    assert not any("." in text for text in said if text.replace(".", "").isdigit())


def test_bars_are_measured_by_the_rows_that_are_drawn():
    rows = [row(f"m{at}", money=at + 1) for at in range(20)] + [row("huge", money=10**9)]
    picture = svg(answered(rows, CHARTS["bars"]))

    longest = max(float(each.get("width")) for each in boxes(picture, LIGHT.accent))
    assert longest > 280


@pytest.mark.parametrize(
    ("chart", "rows", "says"),
    [
        # Tiles without a name: one for each value. With one: the other values below the first.
        ('kind = "tiles", values = ["money", "items"]', [row("a", 3)], {"money", "$4.00m"}),
        ('kind = "tiles", label = "name", values = ["money", "items"]', [row("a", 3)],
         {"a", "$4.00m", "items $750k"}),
        # Two bars for a row, and a legend.
        ('kind = "bars", label = "name", values = ["money", "items"]', [row("a", 3)],
         {"money", "items", "$4.00m", "$750k"}),
        # Columns of days with what is above and below zero.
        ('kind = "stack", label = "day", values = ["money", "items"]',
         [row("x", at, items=-500_000) for at in range(5)], {"$0", "money", "items", "1 Aug"}),
        # A series for each name, and hours where the days are few.
        ('kind = "line", label = "seen", values = ["money"], series = "name"',
         [row(name, at, seen=NOW + timedelta(hours=at)) for at in range(4) for name in "ab"],
         {"a", "b", "14 Sep 23:00", "15 Sep 01:00"}),
        # Columns of texts.
        ('kind = "line", label = "position", values = ["money"]',
         [row("x", 1), row("x", 2)], {"Leader", "Member"}),
        ('kind = "heat", label = "name", across = "position", values = ["money"]',
         [row("x", 1), row("y", 2)], {"x", "y", "Leader", "Member"}),
        # Whole numbers that follow each other are all there.
        ('kind = "heat", label = "name", across = "week", values = ["money"]',
         [row("x", week=30), row("x", 1, week=34)], {"30", "32", "34"}),
    ],
)  # fmt: skip
def test_charts_say_what_they_show(chart, rows, says):
    assert says <= set(texts(svg(answered(rows, chart))))
