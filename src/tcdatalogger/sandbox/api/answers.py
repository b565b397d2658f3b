"""The answers of the endpoints that the world simulates: one function for each kind of endpoint.

Each function takes a `Call` and returns the body as JSON bytes, as Torn's document describes it.
A function raises `Refusal` where Torn answers with one of its errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tcdatalogger.sandbox.api.errors import Refusal
from tcdatalogger.sandbox.api.keyring import LEVELS, TYPES, SandboxKey
from tcdatalogger.sandbox.api.paging import Address, Links, Window, offset_links, time_links, window
from tcdatalogger.sandbox.world import (
    balances,
    chain_reports,
    contributors,
    fights,
    news,
    people,
    profiles,
    shares,
    wars,
)
from tcdatalogger.sandbox.world.crimes import CATEGORIES
from tcdatalogger.sandbox.world.fights import Attack
from tcdatalogger.sandbox.world.people import Faction, Person
from tcdatalogger.sandbox.world.php_json import array, encode
from tcdatalogger.sandbox.world.streams import Row, Stream, StreamSpan, page
from tcdatalogger.sandbox.world.world import World
from tcdatalogger.services.torncity.catalog.catalog import Catalog, Endpoint

_UNLIMITED = 1 << 60


@dataclass(frozen=True, slots=True)
class Call:
    """One call that has passed Torn's checks, except the checks of its parameters.

    Attributes:
        values: the values of the placeholders in the path.
        key: the key of the call.
        t: the time of the world, whole seconds since 1970.
        unlimited: whether a page holds all rows; a call over HTTP cannot ask for that.
    """

    world: World
    catalog: Catalog
    endpoint: Endpoint
    values: Mapping[str, str]
    address: Address
    key: SandboxKey
    t: int
    unlimited: bool = False

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters of the query."""
        return self.address.params

    @property
    def window(self) -> Window:
        """The rows that the parameters ask for.

        Raises:
            Refusal: a number is no number (3).
        """
        asked = window(self.endpoint, self.params)
        return replace(asked, limit=_UNLIMITED) if self.unlimited else asked

    @property
    def tags(self) -> bool:
        """Whether texts keep their HTML."""
        parameter = self.endpoint.parameter("striptags")
        default = parameter.default if parameter else "true"
        asked = self.params.get("striptags", self.params.get("stripTags", str(default)))
        return asked.lower() != "true"

    def number(self, name: str) -> int:
        """A placeholder as a number.

        Raises:
            Refusal: the placeholder is no number, or zero (6).
        """
        text = self.values[name]
        if not text.isdecimal() or int(text) == 0:
            raise Refusal(6)
        return int(text)

    def owner(self) -> Person:
        """The user that the key belongs to.

        Raises:
            Refusal: the city does not know this user any more (6).
        """
        person = people.find(self.world.seed, self.key.owner, self.t)
        if person is None:
            raise Refusal(6)
        return person

    def home(self) -> Faction:
        """The faction that the call is about: the faction in the path, or that of the key's owner.

        Raises:
            Refusal: there is no such faction, or the owner is in no faction (6).
        """
        found = people.faction(self.number("id")) if "id" in self.values else self.owner().faction
        if found is None:
            raise Refusal(6)
        return found

    def ours(self, home: Faction) -> bool:
        """Whether the owner of the key is a member of this faction."""
        return self.owner().faction == home

    def trusted(self, home: Faction) -> bool:
        """Whether the key shows what only members with API access may see."""
        enough = self.key.level >= LEVELS.index("limited") or self.key.level == 0
        return enough and self.key.faction_access and self.ours(home)


def crimes(call: Call) -> bytes:
    """`/faction/crimes`: a page of the faction's organised crimes, with links by offset."""
    category = call.params.get("cat", "all")
    field = call.params.get("filters") or CATEGORIES[category][0]
    asked, home = call.window, call.home()
    rows = call.world.crimes.listed(home, category, field, call.t)
    if asked.low is not None:
        rows = [row for row in rows if row[0] >= asked.low]
    if asked.high is not None:
        rows = [row for row in rows if 0 < row[0] <= asked.high]
    if asked.newest_first:
        rows = rows[::-1]
    found = rows[asked.offset : asked.offset + asked.limit]
    more = len(rows) > asked.offset + len(found)
    links = offset_links(call.address, asked, len(found), more=more)
    book, owner = call.world.crimes, call.key.owner
    return _listed("crimes", [book.row(crime, owner, call.t) for _, crime in found], links)


def crime(call: Call) -> bytes:
    """`/faction/{crimeId}/crime`: one crime of the key owner's faction, else error 6."""
    book = call.world.crimes
    found = book.find(call.number("crimeId"), call.t)
    if found is None or not call.ours(found.home):
        raise Refusal(6)
    return b'{"crime":%s}' % book.row(found, call.key.owner, call.t)


def members(call: Call) -> bytes:
    """`/faction/members`: the members of a faction."""
    home = call.home()
    rows = profiles.members(
        call.world,
        home,
        call.t,
        ours=call.ours(home),
        trusted=call.trusted(home),
        tags=call.tags,
    )
    return encode({"members": rows})


def basic(call: Call) -> bytes:
    """`/faction/basic`: the faction in one object."""
    home = call.home()
    trusted = call.trusted(home)
    return encode({"basic": profiles.faction(call.world, home, call.t, trusted=trusted)})


def balance(call: Call) -> bytes:
    """`/faction/balance`: money and points of the faction and of its members."""
    everybody = call.params.get("cat") == "all"
    found = balances.balance(
        call.world.seed, call.world.crimes, call.home(), call.t, everybody=everybody
    )
    return encode({"balance": found})


def faction_news(call: Call) -> bytes:
    """`/faction/news`: a page of the news of one or more categories.

    Raises:
        Refusal: more than ten categories, or an unknown one (21); a category that this level of
            key may not read (16).
    """
    wanted = call.params["cat"].split(",")
    if len(wanted) > 10 or not set(wanted) <= set(news.CATEGORIES):  # noqa: PLR2004, Torn's limit
        raise Refusal(21)
    if news.LIMITED.intersection(wanted) and 0 < call.key.level < LEVELS.index("limited"):
        raise Refusal(16)
    home, asked = call.home(), call.window
    streams = [call.world.news[home.index, category] for category in dict.fromkeys(wanted)]
    found = page(streams, call.t, _span(asked))
    rows = [encode(_news(call, home, row)) for row in found]
    return _listed("news", rows, time_links(call.address, asked, [row.at for row in found]))


def _news(call: Call, home: Faction, row: Row) -> dict[str, object]:
    world = call.world
    place = (world.seed, "news", home.index, row.kind, row.id)
    corrected = world.corrections.done(row.at, call.t, *place)
    return news.news_json(world.seed, home, row, tags=call.tags, corrected=corrected)


def attacks(call: Call) -> bytes:
    """`/faction/attacks`: a page of the faction's attacks with all details."""
    return _attacks(call, fights.full_json)


def attacks_full(call: Call) -> bytes:
    """`/faction/attacksfull`: longer pages of the same attacks with fewer details."""
    return _attacks(call, fights.short_json)


def user_attacks(call: Call) -> bytes:
    """`/user/attacks`: the attacks of the key's owner with all details."""
    return _attacks(call, fights.full_json, call.world.attacks_of(call.owner()))


def user_attacks_full(call: Call) -> bytes:
    """`/user/attacksfull`: longer pages of the owner's attacks with fewer details."""
    return _attacks(call, fights.short_json, call.world.attacks_of(call.owner()))


def _attacks(
    call: Call, render: Callable[[Attack], dict[str, object]], stream: Stream | None = None
) -> bytes:
    filters = set(call.params.get("filters", "").split(",")) - {""}
    if not filters <= {"incoming", "outgoing", "idFilter"}:
        raise Refusal(4)
    by_id = "idFilter" in filters
    kinds = filters - {"idFilter"} or None
    asked = call.window
    stream = stream or call.world.attacks[call.home().index]
    found = page([stream], call.t, _span(asked, by_id=by_id, kinds=kinds))
    places = [row.id if by_id else row.at for row in found]
    rows = [encode(render(call.world.attack(row, call.t))) for row in found]
    return _listed("attacks", rows, time_links(call.address, asked, places))


def chains(call: Call) -> bytes:
    """`/faction/chains`: a page of the faction's chains that have ended."""
    asked = call.window
    found = page([call.world.chains[call.home().index]], call.t, _span(asked))
    rows = [encode(fights.chain_json(row.fact)) for row in found]
    return _listed("chains", rows, time_links(call.address, asked, [row.at for row in found]))


def chain_report(call: Call) -> bytes:
    """`/faction/{chainId}/chainreport`: the report of a chain that has ended, else error 6."""
    found = chain_reports.find(call.world.seed, call.number("chainId"))
    if found is None or found[1].end > call.t:
        raise Refusal(6)
    return encode({"chainreport": chain_reports.report_json(call.world.seed, *found, call.t)})


def ranked_wars(call: Call) -> bytes:
    """`/faction/rankedwars`: ranked wars, newest first; the end of a running one is 0."""
    asked, world, home = call.window, call.world, call.home()
    whole = list(wars.begun(world.seed, home, world.since, call.t))
    found = whole[asked.offset : asked.offset + asked.limit]
    rows = [encode(wars.war_json(war, call.t, running=0)) for war in found]
    more = len(whole) > asked.offset + len(found)
    return _listed("rankedwars", rows, offset_links(call.address, asked, len(found), more=more))


def faction_contributors(call: Call) -> bytes:
    """`/faction/contributors`: what each member added to a statistic."""
    everybody = call.params.get("cat") == "all"
    home, stat = call.home(), call.params["stat"]
    rows = contributors.rows(call.world.seed, home, stat, call.t, everybody=everybody)
    return encode({"contributors": rows})


def items(call: Call) -> bytes:
    """`/torn/items`: all items of a category."""
    category = call.params.get("cat", "All")
    rows = call.world.market.rows(category, call.t, newest_first=_descending(call))
    return b'{"items":%s}' % array(rows)


def some_items(call: Call) -> bytes:
    """`/torn/{ids}/items`: the items of these ids; error 6 where none of them exists."""
    wanted = call.values["ids"].split(",")
    if not all(text.isdecimal() for text in wanted):
        raise Refusal(6)
    ids = [int(text) for text in wanted]
    rows = call.world.market.some(ids, call.t, newest_first=_descending(call))
    if not rows:
        raise Refusal(6)
    return b'{"items":%s}' % array(rows)


def stocks(call: Call) -> bytes:
    """`/torn/stocks`: all stocks with their prices, and what a block of each pays."""
    return encode({"stocks": shares.stocks(call.world.seed, call.t)})


def user(call: Call) -> bytes:
    """`/user/basic`: the key's owner, or the user in the path."""
    person = call.owner()
    if "id" in call.values:
        found = people.find(call.world.seed, call.number("id"), call.t)
        if found is None:
            raise Refusal(6)
        person = found
    return encode({"profile": profiles.user(call.world, person, call.t, tags=call.tags)})


def own_crime(call: Call) -> bytes:
    """`/user/organizedcrime`: the crime that the key's owner has joined, or null."""
    book, owner = call.world.crimes, call.owner()
    alive = book.alive(owner.faction, call.t, call.t) if owner.faction else []
    for found in alive:
        joined = any(slot.user == owner.id and slot.joined <= call.t for slot in found.slots)
        if joined and found.status(call.t) in {"Recruiting", "Planning"}:
            return b'{"organizedCrime":%s}' % book.row(found, owner.id, call.t)
    return b'{"organizedCrime":null}'


def key_info(call: Call) -> bytes:
    """`/key/info`: the owner, the level and the selections of the key."""
    person, key = call.owner(), call.key
    sections: dict[str, list[str]] = {
        section: []
        for section in (
            *("company", "faction", "market", "property", "torn", "user"),
            *("racing", "forum", "key"),
        )
    }
    for endpoint in call.catalog.endpoints:
        enough = key.level == 0 or LEVELS.index(endpoint.access) <= key.level
        word = endpoint.path.rsplit("/", 1)[-1].lower()
        if not endpoint.route and enough and word not in sections[endpoint.section]:
            sections[endpoint.section].append(word)
    info = {
        "selections": {section: sorted(words) for section, words in sections.items()},
        "user": {
            "id": person.id,
            "faction_id": person.faction.id if person.faction else None,
            "company_id": None,
        },
        "access": {
            "level": key.level,
            "type": TYPES[key.level],
            "faction": key.faction_access,
            "company": False,
            "log": {"custom_permissions": False, "available": []},
        },
    }
    return encode({"info": info})


def timestamp(call: Call) -> bytes:
    """`/SECTION/timestamp`: the time of the world."""
    return encode({"timestamp": call.t})


def _span(asked: Window, *, by_id: bool = False, kinds: set[str] | None = None) -> StreamSpan:
    return StreamSpan(asked.low, asked.high, asked.limit, asked.newest_first, by_id, kinds)


def _descending(call: Call) -> bool:
    return call.params.get("sort", "ASC").upper() == "DESC"


def _listed(name: str, rows: list[bytes], links: Links) -> bytes:
    return b'{"%s":%s,"_metadata":%s}' % (name.encode(), array(rows), encode({"links": links}))


SIMULATED: dict[str, Callable[[Call], bytes]] = {
    "/faction/crimes": crimes,
    "/faction/{crimeId}/crime": crime,
    "/faction/members": members,
    "/faction/{id}/members": members,
    "/faction/basic": basic,
    "/faction/{id}/basic": basic,
    "/faction/balance": balance,
    "/faction/news": faction_news,
    "/faction/attacks": attacks,
    "/faction/attacksfull": attacks_full,
    "/user/attacks": user_attacks,
    "/user/attacksfull": user_attacks_full,
    "/faction/chains": chains,
    "/faction/{id}/chains": chains,
    "/faction/{chainId}/chainreport": chain_report,
    "/faction/rankedwars": ranked_wars,
    "/faction/{id}/rankedwars": ranked_wars,
    "/faction/contributors": faction_contributors,
    "/torn/items": items,
    "/torn/{ids}/items": some_items,
    "/torn/stocks": stocks,
    "/key/info": key_info,
    "/user/organizedcrime": own_crime,
    "/user/basic": user,
    "/user/{id}/basic": user,
    **{
        f"/{section}/timestamp": timestamp
        for section in (
            *("user", "faction", "company", "forum", "market"),
            *("racing", "property", "torn", "key"),
        )
    },
}
"""The endpoints that the world simulates, by their path in the catalogue."""
