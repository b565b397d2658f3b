"""What only reads is answered by Google's own evaluator as by the emulator."""

from __future__ import annotations

import pyarrow as pa
import pytest


def test_an_answer_that_differs_is_told(client, layers, evaluated):
    assert client.ask("select 1 + 1 as n")["n"].to_pylist() == [2]
    assert layers.compared == 1
    with pytest.raises(AssertionError, match="answers otherwise"):
        layers.evaluate(client, "select 1 + 1 as n", pa.table({"n": [3]}))


def test_what_does_more_than_to_read_is_not_evaluated(client, layers, evaluated):
    client.run("create table here (i int64, f float64, j json)")
    client.run("insert into here values (1, 0.5, json '{\"a\": 1}'), (2, null, null)")
    found = client.ask(
        "create temp table t as select i, f, j.a is null as lacks from here; "
        "select count(*) as n, sum(f) as f, countif(lacks) as lacks from t"
    )
    assert found.to_pylist() == [{"n": 2, "f": 0.5, "lacks": 1}]
    assert layers.compared == 1
    client.ask("begin transaction; delete from here where i = 1; select count(*) as n from here")
    assert layers.compared == 1
