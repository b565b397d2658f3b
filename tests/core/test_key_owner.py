"""The ledger knows whose key asked: some values depend on it."""

from __future__ import annotations

import pytest

from tcdatalogger.core.archive import Archive
from tcdatalogger.core.operations.replay import rebuild, replay

ENDPOINT = '[[endpoints]]\nname = "crimes"\npath = "/faction/crimes"\nstorage_mode = "merge"\n'
OWNERS = "select distinct key_owner from _tcd_loads where superseded_by is null"


@pytest.fixture
def owner(workplace):
    with workplace.application() as application:
        return application.info(application.key("default")).owner_id


def test_a_load_and_what_is_made_again_of_it_have_the_owner_of_the_key(workplace, owner):
    workplace.write(ENDPOINT)
    run = workplace.log("crimes").record
    assert workplace.value(OWNERS) == owner

    workplace.again(replay, run.run_id)
    assert workplace.value(OWNERS) == owner
    workplace.warehouse.unlink()
    workplace.again(rebuild, "crimes")
    assert workplace.value(OWNERS) == owner


@pytest.mark.parametrize(("answers", "whose"), [(1, 0), (0, 1)])
def test_a_run_of_several_keys_is_of_the_one_that_got_the_first_answer(
    workplace, city, monkeypatch, answers, whose
):
    city.city.keyring.change("other", faction_access=True)
    keys = {"A_KEY": city.keys["limited"], "B_KEY": city.keys["other"]}
    monkeypatch.setattr(type(workplace), "environ", property(lambda _: keys))
    named = '[keys]\na = "env:A_KEY"\nb = "env:B_KEY"'
    text = workplace.write(ENDPOINT + 'api_key = ["a", "b"]\n').read_text()
    workplace.file.write_text(text.replace("[keys]", named, 1))
    with workplace.application() as application:
        owners = [application.info(application.key(name)).owner_id for name in "ab"]

    city.fault("error", code=2, path="/faction/crimes", key="limited", after=answers)
    assert workplace.log("crimes").status == "done"
    assert workplace.value(OWNERS) == owners[whose] != owners[1 - whose]


def test_what_an_older_archive_does_not_say_is_null(workplace, monkeypatch):
    workplace.write(ENDPOINT)
    write = Archive.write

    def older(self, run_id, name, kept, facts):
        return write(self, run_id, name, kept, {k: facts[k] for k in facts.keys() - {"key_owner"}})

    monkeypatch.setattr(Archive, "write", older)
    workplace.log("crimes")
    workplace.warehouse.unlink()
    workplace.again(rebuild, "crimes")

    assert workplace.value(OWNERS) is None
