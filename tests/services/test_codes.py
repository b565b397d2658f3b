import pickle
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effort import memory
from tcdatalogger import errors
from tcdatalogger.services.torncity.client import classify, error_codes

CASES = tomllib.loads((Path(__file__).parent / "answers.toml").read_text())
BY_CLASS = [(number, name) for name, numbers in CASES["codes"].items() for number in numbers]


@pytest.mark.parametrize("case", CASES["answers"], ids=lambda case: case["why"])
def test_an_answer_is_what_the_list_says(case):
    kind = case.get("type", "application/json")

    found = classify.classify(case.get("status", 200), kind, case["body"].encode())

    if case["fault"] == "":
        assert found is None
        return
    assert issubclass(found.kind.fault, getattr(errors, case["fault"]))
    assert found.kind.name == case["kind"]
    assert found.number == case.get("code")
    assert found.selection == case.get("selection", "")


@pytest.mark.parametrize(("number", "name"), BY_CLASS)
def test_every_code_of_torns_has_its_class(number, name):
    body = f'{{"error":{{"code":{number},"error":"…"}}}}'.encode()
    found = classify.classify(200, "application/json", body)
    assert found.kind.number == number
    assert issubclass(found.kind.fault, getattr(errors, name))


def test_the_list_has_every_code_from_0_to_32_once():
    assert [code.number for code in error_codes.TORN_CODES] == list(range(33))
    assert sorted(number for number, _ in BY_CLASS) == list(range(33))


def test_health_is_said_of_keys_only():
    for code in error_codes.TORN_CODES:
        said = [name for name, numbers in CASES["health"].items() if code.number in numbers]
        assert ([code.health.value] if code.health else []) == said
        assert issubclass(code.fault, errors.KeyRefused) == bool(said)


def test_every_fault_says_what_to_do_next():
    for code in (
        *error_codes.TORN_CODES,
        error_codes.UNKNOWN,
        error_codes.SERVER,
        error_codes.EMPTY,
        error_codes.PAGE,
    ):
        assert code.remedy.endswith(".")
        assert code.meaning


def test_what_cannot_be_mended_by_asking_again_is_asked_once():
    for code in error_codes.TORN_CODES:
        again = code.tries > 1
        assert not (again and issubclass(code.fault, errors.FixIt | errors.SetAside))


def test_a_fault_survives_the_way_between_processes():
    fault = error_codes.KeyFault("no", kind=error_codes.BY_NUMBER[2], path="/user/basic")
    again = pickle.loads(pickle.dumps(fault))
    assert type(again) is error_codes.KeyFault
    assert (again.code, again.health, again.remedy) == (2, "dead", fault.remedy)
    assert again.exit_code == 77


def test_torns_words_are_cut_to_one_short_line():
    body = b'{"error":{"code":99,"error":"a\\nb\\u001b[31m' + b"x" * 5000 + b'"}}'
    said = classify.classify(200, "application/json", body).said
    assert len(said) <= 200
    assert said.isprintable()


def test_an_error_after_a_megabyte_of_good_data_is_found():
    body = b'{"news":[' + b'{"id":1},' * 120_000 + b'{}],"job":{"code":27,"error":"no"}}'
    assert classify.classify(200, "application/json", body).selection == "job"


def test_a_large_good_body_costs_next_to_nothing():
    row = b'{"id":12345,"name":"Somebody","text":"some words of news","at":1767225600},'
    body = b'{"news":[' + row * 60_000 + b"{}]}"
    assert len(body) > 4_000_000
    assert classify.classify(200, "application/json", body) is None
    held = memory(lambda: classify.classify(200, "application/json", body))
    assert held < 20_000  # reading it as JSON takes 27 MB


@given(st.binary(max_size=200), st.sampled_from(["application/json", "text/csv", "", "text/html"]))
def test_no_body_at_all_makes_the_reader_stumble(body, kind):
    classify.classify(200, kind, body)
    classify.classify(200, kind, b'{"error":' + body + b"}")
    classify.classify(200, kind, b'{"a":{"code":1,"error":' + body + b"}}")


def test_a_body_nested_without_end_is_left_to_the_decoder():
    assert classify.classify(200, "application/json", b'{"error":' + b"[" * 100_000) is None
