"""Players who are forgotten get their aliases in every answer, before anything of it is kept."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from tcdatalogger.errors import NotFound
from tcdatalogger.models.people.pseudonyms import Pseudonyms
from tcdatalogger.models.people.rewriter import BodyRewriter
from tcdatalogger.services.torncity.catalog import people
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.processing.task import Task

_ABOUT: Final = re.compile(r"/user/(\d+)/")


class ForgottenInAnswers:
    """Gives aliases to players who are forgotten, in the answers of one run.

    Args:
        task: of the run.
        pseudonyms: the players.
    """

    def __init__(self, task: Task, pseudonyms: Pseudonyms) -> None:
        self._endpoint = task.endpoint
        self._pseudonyms = pseudonyms
        self._rewriter = BodyRewriter(people.facts(task.endpoint), pseudonyms)

    @property
    def names(self) -> dict[str, str]:
        """The names that were met of them, each with the hash of the player."""
        return self._rewriter.names

    def refuse(self, request: Request) -> None:
        """Refuse a request about one of them: Torn is not asked.

        Raises:
            NotFound: it is about one of them.
        """
        found = _ABOUT.match(f"{request.path}/")
        if found is not None and self._pseudonyms.of_id(found[1]) is not None:
            raise _forgotten()

    def rewritten(self, answer: Answer) -> Answer:
        """An answer with aliases.

        Raises:
            NotFound: it is about the owner of the key, who is one of them.
        """
        owner = self._pseudonyms.of_id(answer.key_owner)
        if (
            owner is not None
            and self._endpoint.about_player
            and not _ABOUT.match(f"{answer.request.path}/")
        ):
            raise _forgotten()
        body = self._rewriter.body(answer.body)
        if body is not answer.body and body != answer.body:
            answer = replace(answer, body=body)
        return answer if owner is None else replace(answer, key_owner=owner.id)


def _forgotten() -> NotFound:
    return NotFound(
        "The player is forgotten, and nothing is asked about them.",
        remedy="Take the player out of `ids`, or the key out of [keys].",
    )
