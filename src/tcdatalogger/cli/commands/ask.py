"""`tcdatalogger ask`: questions of a faction, and their answers from the warehouse."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.answers import as_table
from tcdatalogger.cli.output import (
    counted,
    json_option,
    moment,
    number,
    print_json,
    print_table,
    say,
)
from tcdatalogger.cli.writing import print_bytes, write_bytes, write_parquet
from tcdatalogger.errors import ChannelUnavailable, ConfigError, UsageError
from tcdatalogger.text import did_you_mean

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.main import Application
    from tcdatalogger.questions.answers import Answer
    from tcdatalogger.questions.question import Question
    from tcdatalogger.questions.relations import Lack

MOST_ROWS = 60
"""Rows of an answer on a terminal."""


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger ask\n"
    "  tcdatalogger ask inactive-members --param hours=48\n"
    "  tcdatalogger ask crime-slots --member 150001\n"
    "  tcdatalogger ask oc-profit --days 90 --csv > profit.csv\n"
    "  tcdatalogger ask oc-profit --png profit.png\n"
    "  tcdatalogger ask --all --png pictures\n"
    "  tcdatalogger ask oc-participation --to officers\n"
    '  tcdatalogger query "$(tcdatalogger ask oc-profit --sql)"',
)
@click.argument("name", required=False)
@click.option("--days", metavar="N", help="How many days to look back.")
@click.option("--until", metavar="DAY", help="As of the end of a day, as 2026-01-31. [now]")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="Choose a value of the question, as hours=48; `ask NAME --about` lists them.",
)
@click.option("--faction", metavar="ID", help="Of which faction, where several are logged; or all.")
@click.option("--player", metavar="ID", help="The same of players.")
@click.option("--company", metavar="ID", help="The same of companies.")
@click.option("--member", metavar="ID", help="About one member: short for --param member=ID.")
@click.option("--crime", metavar="ID", help="About one crime.")
@click.option("--war", metavar="ID", help="About one war.")
@click.option("--item", metavar="ID", help="About one item.")
@click.option("--about", is_flag=True, help="Say what is counted, and what can be chosen.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL that answers it here.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--raw", is_flag=True, help="With --csv: texts as Torn sent them. For programs.")
@click.option(
    "--parquet",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a Parquet file.",
)
@click.option(
    "--png",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw a picture; with --all a folder of pictures.",
)
@click.option("--dark", is_flag=True, help="With --png: for a dark page.")
@click.option("--all", "everything", is_flag=True, help="Every question that can be answered.")
@click.option(
    "--owner", is_flag=True, help="Also what only the owner of a key is to see, with --all or --to."
)
@click.option(
    "--to",
    metavar="CHANNEL",
    help="Send it to a channel, with its picture; `channels list` names them.",
)
@click.option("--digest", is_flag=True, help="Send the digest of [digest] now.")
@click.option(
    "--check", is_flag=True, help="Check every question, also those of your own, or that of NAME."
)
@json_option
@click.pass_obj
def command(  # noqa: C901, PLR0912, PLR0915  # one line for each way to answer
    options: Options,
    name: str | None,
    days: str | None,
    until: str | None,
    params: tuple[str, ...],
    faction: str | None,
    player: str | None,
    company: str | None,
    member: str | None,
    crime: str | None,
    war: str | None,
    item: str | None,
    about: bool,
    as_sql: bool,
    as_csv: bool,
    raw: bool,
    parquet: Path | None,
    png: Path | None,
    dark: bool,
    everything: bool,
    owner: bool,
    to: str | None,
    digest: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Answer a question about your faction; without a NAME list what can be asked.

    Your own questions are files `questions/NAME.sql` beside the configuration.
    """
    ways = (as_csv, as_json, as_sql, about, parquet, png, to, digest)
    if sum(1 for way in ways if way) > 1:
        raise UsageError(
            "Choose one of --json, --csv, --parquet, --png, --to, --digest, --sql and --about."
        )
    if (raw and not as_csv) or (dark and png is None):
        raise UsageError("--raw goes with --csv, and --dark with --png.")
    if everything and (png is None or name is not None):
        raise UsageError("--all draws pictures.", remedy="As: --all --png pictures")
    if digest and name is not None:
        raise UsageError("--digest posts what [digest] says, and takes no NAME.")
    of_one = as_csv or as_sql or about or any(each is not None for each in (parquet, png, to))
    if name is None and not everything and of_one:
        raise UsageError("Name a question.", remedy="`tcdatalogger ask` lists them.")
    if digest:
        _digest(options)
        return
    whose = {"faction": faction, "player": player, "company": company}
    settings = options.look()
    from tcdatalogger.core.config import configuration  # pydantic
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.core.operations import channels
    from tcdatalogger.questions import answers, question
    from tcdatalogger.questions.relations import Relations
    from tcdatalogger.services.warehouse.protocol import READING

    things = {"member": member, "crime": crime, "war": war, "item": item}
    texts = _texts({"days": days, "until": until, **whose, **things}, params)
    folder = configuration.locate(options.config, os.environ).parent / "questions"
    known = question.known(folder)
    with Application(settings) as application:
        relations = Relations(settings, application.catalog, application.clock.now())
        if check:
            these = known if name is None else {name: _named(known, name)}
            _check(application, these, relations, as_json=as_json)
            return
        if everything and png is not None:
            _draw_all(application, known, relations, texts, png, dark=dark, owner=owner)
            return
        if name is None:
            _list(known, {n: relations.lacks(q) for n, q in known.items()}, as_json=as_json)
            return
        asked = _named(known, name)
        if to is not None:
            channels.named(settings, to, "answers")
        if to is not None and asked.audience == "owner" and not owner:
            raise _for_the_owner(name)
        if about:
            _about(asked)
            return
        values = answers.given(asked, texts)
        lacks = [lack for lack in relations.lacks(asked) if lack.blocks]
        if lacks:
            raise _lacking(asked, lacks)
        with application.warehouse(read_only=True, limits=READING) as warehouse:
            answer = answers.ask(warehouse, relations, asked, values)
    if as_sql:
        _print_sql(answer)
    elif as_json:
        print_json(_as_json(answer))
    elif as_csv:
        _csv(answer, raw=raw)
    elif parquet is not None:
        _parquet(answer, parquet)
    elif png is not None:
        _draw(answer, png, dark=dark)
    elif to is not None:
        _send(settings, answer, to)
    else:
        _print(answer)


def _named(known: Mapping[str, Question], name: str) -> Question:
    if name not in known:
        raise UsageError(
            f"There is no question {name!r}.",
            remedy=did_you_mean(name, known, "`tcdatalogger ask` lists them.", most=2),
        )
    return known[name]


def _for_the_owner(name: str) -> UsageError:
    return UsageError(
        f"The answer to {name} is for the owner of the key alone.",
        remedy="--owner posts it all the same: everybody in the channel will see it.",
    )


def _texts(found: Mapping[str, str | None], params: Sequence[str]) -> dict[str, str]:
    """What was written of the parameters: by options of their own, and by --param."""
    texts = {name: value for name, value in found.items() if value is not None}
    for param in params:
        name, sign, value = param.partition("=")
        if not sign:
            raise UsageError(f"--param {param} has no value.", remedy="As: --param hours=48")
        texts[name.strip()] = value.strip()
    return texts


def _lacking(asked: Question, lacks: Iterable[Lack]) -> ConfigError:
    problems = [f"{lack.says}\n{_indented(lack.remedy)}" for lack in lacks]
    return ConfigError(
        f"{asked.title} This cannot be answered here yet. Put into the configuration:",
        problems=problems,
    )


def _indented(text: str) -> str:
    return "\n".join(f"      {line}" for line in text.splitlines())


# --- to list -------------------------------------------------------------------------------------


def _list(
    known: Mapping[str, Question], lacks: Mapping[str, Sequence[Lack]], *, as_json: bool
) -> None:
    blocked = {n: [lack for lack in found if lack.blocks] for n, found in lacks.items()}
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "title": each.title,
                    "page": each.page,
                    "asks": each.asks,
                    "audience": each.audience,
                    "answered": not blocked[name],
                    "lacks": [
                        {"path": k.path, "says": k.says, "remedy": k.remedy, "blocks": k.blocks}
                        for k in lacks[name]
                    ],
                }
                for name, each in known.items()
            ]
        )
        return
    page = ""
    for name, each in known.items():
        if each.page != page:
            say(f"{'' if not page else chr(10)}{each.page}")
            page = each.page
        paths = ", ".join(dict.fromkeys(map(_needed, blocked[name])))
        say(f"  {name:22} {each.title}")
        if paths:
            say(f"  {'':22} needs {paths}")
    ready = sum(not found for found in blocked.values())
    say(f"\n{ready} of {counted(len(known), 'question')} can be answered here.")
    if ready < len(known):
        say("`tcdatalogger ask NAME` says what to log for another one.")


def _needed(lack: Lack) -> str:
    """What a question needs, and as what where it is logged otherwise."""
    return f"{lack.path} as {' or '.join(lack.modes)}" if lack.modes else lack.path


def _about(asked: Question) -> None:
    from tcdatalogger.questions.answers import DAYS

    say(asked.title)
    say(f"\n{asked.caption}")
    if asked.definition:
        say(f"\n{asked.definition.strip()}")
    say()
    rows = [
        (name, asked.days if name == "days" else each.default, _bounds(each), each.says)
        for name, each in {"days": DAYS, **asked.params}.items()
    ]
    print_table(("parameter", "default", "from, to", "what it is"), rows)
    say()
    print_table(
        ("needs", "how often", "storage_mode"),
        [
            (path, need.every or "any", " or ".join(need.modes) or "any")
            for path, need in asked.needs.items()
        ],
    )


def _bounds(parameter: Any) -> str:
    if parameter.choices:
        return ", ".join(parameter.choices)
    ends = ["" if end is None else f"{end:,}" for end in (parameter.min, parameter.max)]
    return ", ".join(ends) if any(ends) else ""


def _check(
    application: Application, known: Mapping[str, Question], relations: Any, *, as_json: bool
) -> None:
    from tcdatalogger.questions import answers, lint

    told: dict[str, list[str]] = {}
    with application.warehouse(read_only=True) as warehouse:
        for name, each in known.items():
            found = lint.problems(each)
            if not found:
                try:
                    answer = answers.ask(warehouse, relations, each)
                except (ConfigError, UsageError) as error:
                    found = [str(error)]
                else:
                    found = answers.unknown_names(answer)
            told[name] = [f"{each.place}: {says}" for says in found]
    problems = [says for found in told.values() for says in found]
    if as_json:
        print_json(told)
    if problems:
        raise ConfigError(f"{counted(len(problems), 'mistake')} in questions.", problems=problems)
    if not as_json:
        say(f"{counted(len(known), 'question')}, no mistake.")


# --- to answer -----------------------------------------------------------------------------------


def _print_sql(answer: Answer) -> None:
    """Print the SQL of an answer as it is, so that it can be pasted."""
    if not answer.sql:
        raise UsageError(
            "Nothing is stored yet, so there is nothing to ask.",
            remedy="`tcdatalogger run --all` stores some.",
        )
    print_bytes(answer.sql.encode())


def _csv(answer: Answer, *, raw: bool) -> None:
    from tcdatalogger.models import tabular

    if answer.rows is not None:
        print_bytes(tabular.csv(answer.rows, raw=raw))


def _parquet(answer: Answer, file: Path) -> None:
    if answer.rows is not None:
        write_parquet(answer.rows, file)


def _draw(answer: Answer, file: Path, *, dark: bool) -> None:
    from tcdatalogger.questions.pictures.picture import svg
    from tcdatalogger.questions.pictures.png import png

    write_bytes(png(svg(answer, dark=dark)), file)
    say(f"{file}: {answer.question.title}")


def _draw_all(
    application: Application,
    known: Mapping[str, Question],
    relations: Any,
    texts: Mapping[str, str],
    folder: Path,
    *,
    dark: bool,
    owner: bool,
) -> None:
    """Draw what can be answered; what goes wrong is told at the end."""
    from tcdatalogger.questions import answers

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} is no folder: {error.strerror}.") from None
    problems, drawn = [], 0
    for name, each in known.items():
        if each.audience == "owner" and not owner:
            continue
        mine = {"days", "until", *each.params, *relations.kinds(each)}
        own = {name: text for name, text in texts.items() if name in mine}
        try:
            values = answers.given(each, own)
            # Opened for each: whoever writes waits for one question at most.
            with application.warehouse(read_only=True) as warehouse:
                answer = answers.ask(warehouse, relations, each, values)
        except (ConfigError, UsageError) as error:
            problems.append(f"{name}: {error}")
            continue
        if answer.rows is not None:
            _draw(answer, folder / f"{name}.png", dark=dark)
            drawn += 1
    if problems:
        raise ConfigError(f"{counted(len(problems), 'question')} went wrong.", problems=problems)
    if not drawn:
        raise UsageError(
            "There is nothing to draw yet.", remedy="`tcdatalogger ask` says what is lacking."
        )


def _send(settings: Settings, answer: Answer, to: str) -> None:
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations import channels
    from tcdatalogger.questions import sending

    found = channels.named(settings, to, "answers")
    with Application(settings) as application:
        channel = channels.opened(settings, found, application.environ)
        if answer.rows is None:
            raise UsageError(
                "Nothing is stored for it yet, so nothing was sent.",
                remedy="`tcdatalogger run --all` stores some.",
            )
        message = sending.message_of(
            [answer], application.clock.now(), pictures=channel.pictures > 0
        )
        sent = sending.deliver(application, found, channel, message)
    if sent.why:
        raise ChannelUnavailable(
            f"The channel {to} did not take it: {sent.why}.",
            remedy="Look at the settings of the channel, or try it again later.",
        )
    say(f"Sent to {to}: {answer.question.title}")


def _digest(options: Options) -> None:
    settings = options.load()
    from tcdatalogger.core.main import Application
    from tcdatalogger.questions import digest

    if not settings.digest.questions:
        raise ConfigError(
            "No digest is configured.",
            remedy='Write questions = ["inactive-members"] in [digest].',
        )
    with Application(settings) as application:
        posted = digest.post(application, forced=True)
    say(f"Sent: {', '.join(posted)}")


def _as_json(answer: Answer) -> dict[str, Any]:
    from tcdatalogger.models import tabular

    return {
        "name": answer.question.name,
        "title": answer.question.title,
        "caption": answer.caption,
        "values": answer.values,
        "tables": answer.tables,
        "lacks": [lack.says for lack in answer.lacks],
        "rows": None if answer.rows is None else tabular.records(answer.rows),
    }


def _print(answer: Answer) -> None:
    asked = answer.question
    say(f"{asked.title}\n{answer.caption}")
    for lack in answer.lacks:
        say(f"Note: {lack.says}", err=True)
    say()
    others = {
        k: ids for k, ids in answer.subjects.items() if answer.values.get(k, ids[0]) not in ids
    }
    if answer.rows is None:
        say(
            "Nothing is stored of it."
            if others
            else "Nothing is stored for it yet. `tcdatalogger run --all` stores some."
        )
    elif not answer.rows.num_rows:
        say("(no rows)")
    else:
        most = MOST_ROWS if sys.stdout.isatty() else answer.rows.num_rows
        print_table(*as_table(answer, most), upright=True)
        if answer.rows.num_rows > most:
            say(f"… and {number(answer.rows.num_rows - most)} rows more", err=True)
    for kind, ids in answer.subjects.items():
        if ids[1:] or kind in others:
            say(f"There are answers of {', '.join(map(str, ids))}: --{kind} ID.", err=True)
    if answer.until is not None:
        say(f"\nAs of {moment(answer.until)}. `ask {asked.name} --about` says what is counted.")
