"""The digest: answers with their pictures, sent to channels at a time of day.

It is done under a claim and stands with the runs under the name `DIGEST`, so the state knows when
the last one was sent: two schedulers send one, and a new scheduler none that was sent. It knows
when each channel got one, too: another try leaves out those that have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tcdatalogger.core.config.channels import ChannelSettings
from tcdatalogger.core.config.settings import DigestSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations import channels
from tcdatalogger.core.operations.recorded import recorded
from tcdatalogger.core.run.timeout import deadline
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.deliveries import Deliveries
from tcdatalogger.core.state.leases import DIGEST, Claim
from tcdatalogger.core.state.plans import digest_grid
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import ChannelUnavailable, ConfigError, Failure, UsageError
from tcdatalogger.observability.log import bound, get_logger
from tcdatalogger.questions import answers, question, sending
from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.question import Question
from tcdatalogger.questions.relations import Relations
from tcdatalogger.text import did_you_mean

_STEP: Final = "post"

_log = get_logger("digest")


def post(
    application: Application,
    *,
    claim: Claim | None = None,
    timeout: float | None = None,
    forced: bool = False,
) -> tuple[str, ...]:
    """Post the digest, unless that of its last time was posted already.

    What cannot be answered keeps nothing else from the channel, and is told at the end.

    Args:
        application: the application.
        claim: the claim, where it exists already.
        timeout: seconds that it may take, None for no limit.
        forced: whether it is posted in any case.

    Returns the names of the questions that were posted.

    Raises:
        Busy: another process posts it.
        ConfigError: a question is not there or is wrong, no channel gets the digest, or the package
            that draws pictures is not installed.
        ChannelUnavailable: a channel did not take it; the others have it.
        WarehouseUnavailable: the warehouse cannot be read now.
    """
    run_id = new_run_id(application.clock) if claim is None else claim.run_id
    with application.claimed(DIGEST, run_id, claim) as held, bound(run_id=run_id, endpoint=DIGEST):
        if not forced and not wanted(application):
            return ()
        with recorded(application, held, _STEP):
            try:
                with deadline(timeout, "digest"):
                    return _posted(application, forced=forced)
            except Failure as failure:
                _log.error("digest_failed", error=type(failure).__name__, message=failure.message)
                raise


def wanted(application: Application) -> bool:
    """Whether a digest is due: none was posted since the last time for one."""
    settings, now = application.settings.digest, application.clock.now()
    last = run_stats.lasts(application.state).get(DIGEST)
    at = None if last is None else last.success_at
    return at is None or digest_grid(settings).after(min(at, now)) <= now


def _posted(application: Application, *, forced: bool) -> tuple[str, ...]:
    settings = application.settings.digest
    waiting = _waiting(application, forced=forced)
    found, problems = _answers(application, settings)
    shown = [each for each in found if each.rows is not None]
    refused_by = _send(application, waiting, shown) if shown else []
    for each in found:
        if each.rows is None:
            problems.append(f"{each.question.name}: nothing is stored for it yet.")
    if refused_by:
        raise ChannelUnavailable(
            " ".join(["The digest did not arrive everywhere:", *refused_by, *problems]),
            remedy="`tcdatalogger channels test NAME` tries a channel.",
        )
    if problems:
        raise ConfigError(
            "The digest is not whole: " + " ".join(problems),
            remedy="`tcdatalogger ask NAME` says more of each.",
        )
    return tuple(each.question.name for each in shown)


def _waiting(application: Application, *, forced: bool) -> list[ChannelSettings]:
    """The channels that have to get it: not those that took this one already.

    Raises:
        ConfigError: no channel gets the digest.
    """
    found = application.settings.channels_for("digest")
    if not found:
        raise ConfigError(
            "No channel gets the digest.",
            remedy='Write webhook = "env:DISCORD_DIGEST" in [digest], or a channel in '
            "[[channels]].",
        )
    since = digest_grid(application.settings.digest).at_or_before(application.clock.now())
    told = Deliveries(application.state).times(DIGEST)
    return [each for each in found if forced or told.get(each.name, since - 1.0) < since]


def _send(
    application: Application, waiting: Sequence[ChannelSettings], shown: Sequence[Answer]
) -> list[str]:
    """Send the answers to all channels at once; returns what each said that did not take them."""
    opened, problems = [], []
    for each in waiting:
        try:
            channel = channels.opened(application.settings, each, application.environ)
        except ConfigError as error:
            problems.append(f"{each.name}: {error.message}")
        else:
            opened.append((each, channel))
    drawn = any(channel.pictures >= len(shown) for _, channel in opened)
    message = sending.message_of(shown, application.clock.now(), pictures=drawn)
    if opened:
        with ThreadPoolExecutor(len(opened)) as pool:
            sent = [
                pool.submit(sending.deliver, application, each, channel, message, DIGEST)
                for each, channel in opened
            ]
        for (each, _), result in zip(opened, sent, strict=True):
            if why := result.result().why:
                problems.append(f"{each.name}: {why}.")
    return problems


def _answers(application: Application, settings: DigestSettings) -> tuple[list[Answer], list[str]]:
    """The answers, and what is wrong with the others."""
    known = question.known(settings.folder)
    relations = Relations(application.settings, application.catalog, application.clock.now())
    found, problems = [], []
    for name in settings.questions:
        if problem := refused(name, known, settings):
            problems.append(problem)
            continue
        try:
            # Opened for each: whoever writes waits for one question at most.
            with application.warehouse(read_only=True) as warehouse:
                found.append(answers.ask(warehouse, relations, known[name]))
        except (ConfigError, UsageError) as error:
            problems.append(f"{name}: {error.message}")
    return found, problems


def refused(name: str, known: Mapping[str, Question], settings: DigestSettings) -> str:
    """Why a question is not in the digest, a sentence; "" where it is."""
    if name not in known:
        near = did_you_mean(name, known, "`tcdatalogger ask` lists them.")
        return f"There is no question {name!r}. {near}"
    if known[name].audience == "owner" and not settings.owner:
        return f"{name} is for the owner of the key alone; `owner = true` in [digest] posts it."
    return ""
