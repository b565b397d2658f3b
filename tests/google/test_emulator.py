"""The list of the emulator's wrong answers is true: no entry outlives its fault."""

from __future__ import annotations

import pytest
from emulator import WRONG, Asked
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client


@pytest.fixture
def asked(bigquery, client):
    made = Client(client.address.project, AnonymousCredentials(),
                  client_options={"api_endpoint": bigquery.endpoint})  # fmt: skip
    yield Asked(made, str(client.address))
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.still.__name__)
def test_the_emulator_still_answers_wrongly(asked, wrong):
    assert wrong.still(asked), f"take it off the list: {wrong.right}"
